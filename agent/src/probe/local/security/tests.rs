use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown, symlink};

use tempfile::TempDir;

use super::*;

/// A folder with a program in a folder, both as they should be. What is above it is nobody's concern here.
struct Place {
    security: Security,
    _folder: TempDir,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let from = folder.path().canonicalize().unwrap();
        let place = Self {
            security: Security {
                user: geteuid().as_raw(),
                search: vec![from.join("none"), from.join("bin")],
                from,
            },
            _folder: folder,
        };
        place.mode("", 0o755);
        for name in ["safe", "bin"] {
            fs::create_dir(place.path(name)).unwrap();
            place.mode(name, 0o755);
        }
        place.write("safe/program", b"\x7fELF");
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.security.from.join(name)
    }

    fn mode(&self, name: &str, mode: u32) {
        fs::set_permissions(self.path(name), fs::Permissions::from_mode(mode)).unwrap();
    }

    fn write(&self, name: &str, content: &[u8]) {
        fs::write(self.path(name), content).unwrap();
        self.mode(name, 0o755);
    }

    fn check(&self, name: &str) -> Result<(), String> {
        self.security.check(&self.path(name))
    }

    /// The program is refused because of what is at `culprit`.
    fn refuses(&self, name: &str, culprit: &str, words: &str) {
        let sentence = self.check(name).expect_err("it could be changed");
        let culprit = self.path(culprit).display().to_string();
        assert!(
            sentence.starts_with(&format!("{culprit} ")) && sentence.contains(words),
            "{sentence}"
        );
    }
}

#[test]
fn a_program_that_only_its_owner_can_change_may_be_run() {
    let place = Place::new();
    assert_eq!(place.check("safe/program"), Ok(()));
    assert_eq!(place.check("safe/../safe/./program"), Ok(()));
}

#[test]
fn a_program_or_a_folder_above_it_that_others_can_write_is_refused() {
    for culprit in ["safe/program", "safe", ""] {
        for (mode, whom) in [(0o775, "its group"), (0o757, "others"), (0o1777, "others")] {
            let place = Place::new();
            place.mode(culprit, mode);
            let culprit = culprit.trim_end_matches('/');
            let sentence = place.check("safe/program").expect_err("it could be changed");
            assert!(
                sentence.contains(&format!("can be written by {whom}")),
                "{sentence}"
            );
            assert!(
                sentence.contains("`agent.exec.insecure`") && sentence.contains("`--exec-insecure`"),
                "{sentence}"
            );
            assert!(
                sentence.contains(place.path(culprit).to_str().unwrap().trim_end_matches('/')),
                "{sentence}"
            );
        }
    }
}

#[test]
fn the_folder_for_everybody_is_no_place_for_programs() {
    let file = tempfile::NamedTempFile::new_in("/tmp").unwrap();
    let sentence = Security::of_this_process()
        .check(file.path())
        .expect_err("/tmp is everybody's");
    assert!(sentence.starts_with("/tmp "), "{sentence}");
}

#[test]
fn what_belongs_to_another_user_is_refused() {
    if !geteuid().is_root() {
        eprintln!("skipped: it takes root to give files away");
        return;
    }
    for culprit in ["safe/program", "safe"] {
        let place = Place::new();
        chown(place.path(culprit), Some(4711), None).unwrap();
        place.refuses("safe/program", culprit, "belongs to user 4711");
        let theirs = Security {
            user: 4711,
            ..place.security.clone()
        };
        assert_eq!(theirs.check(&place.path("safe/program")), Ok(()));
    }
}

#[test]
fn a_link_is_as_safe_as_its_folder_its_target_and_the_targets_folder() {
    let place = Place::new();
    fs::create_dir(place.path("links")).unwrap();
    place.mode("links", 0o755);
    symlink("../safe/program", place.path("links/relative")).unwrap();
    symlink(place.path("safe"), place.path("links/folder")).unwrap();
    for name in ["links/relative", "links/folder/program"] {
        assert_eq!(place.check(name), Ok(()), "{name}");
        place.mode("links", 0o777);
        place.refuses(name, "links", "others");
        place.mode("links", 0o755);
        place.mode("safe", 0o777);
        place.refuses(name, "safe", "others");
        place.mode("safe", 0o755);
        place.mode("safe/program", 0o777);
        place.refuses(name, "safe/program", "others");
        place.mode("safe/program", 0o755);
    }
    // Somebody swaps the link: what it leads to now is looked at.
    fs::create_dir(place.path("open")).unwrap();
    place.mode("open", 0o777);
    place.write("open/program", b"\x7fELF");
    fs::remove_file(place.path("links/relative")).unwrap();
    symlink("../open/program", place.path("links/relative")).unwrap();
    place.refuses("links/relative", "open", "others");
}

#[test]
fn a_script_is_as_safe_as_its_interpreter() {
    let place = Place::new();
    place.write("safe/interpreter", b"\x7fELF");
    place.write("bin/python", b"\x7fELF");
    let interpreter = place.path("safe/interpreter").display().to_string();
    for (script, culprit) in [
        (format!("#!{interpreter} -u\nprint()"), "safe/interpreter"),
        (format!("#! \t{interpreter}\n"), "safe/interpreter"),
        ("#!/usr/bin/env python\n".to_owned(), "bin/python"),
        ("#!/usr/bin/env -S X=1 python -u\n".to_owned(), "bin/python"),
    ] {
        place.write("safe/script", script.as_bytes());
        assert_eq!(place.check("safe/script"), Ok(()), "{script}");
        place.mode(culprit, 0o777);
        place.refuses("safe/script", culprit, "others");
        place.mode(culprit, 0o755);
    }
    // A script may be another's interpreter, but not its own.
    place.write(
        "safe/outer",
        format!("#!{}\n", place.path("safe/script").display()).as_bytes(),
    );
    place.write("safe/script", format!("#!{interpreter}\n").as_bytes());
    place.mode("safe/interpreter", 0o757);
    place.refuses("safe/outer", "safe/interpreter", "others");
    place.write(
        "safe/self",
        format!("#!{}\n", place.path("safe/self").display()).as_bytes(),
    );
    assert!(
        place
            .check("safe/self")
            .unwrap_err()
            .contains("too many interpreters")
    );
}

#[test]
fn what_is_missing_is_named() {
    let place = Place::new();
    let missing = |name: &str| place.check(name).unwrap_err();
    assert!(missing("safe/gone").ends_with("safe/gone does not exist"));
    let sentence = missing("gone/program");
    assert!(
        sentence.contains("gone/program does not exist: there is no "),
        "{sentence}"
    );
    assert!(missing("safe").ends_with("is no file"));
    symlink("nowhere", place.path("safe/dangling")).unwrap();
    assert!(missing("safe/dangling").contains("there is no "));
}

#[test]
fn the_first_line_names_the_interpreter() {
    let path = |path: &str| Some(Interpreter::Path(path.into()));
    for (head, expected) in [
        (&b"#!/bin/sh"[..], path("/bin/sh")),
        (b"#!/bin/sh\nx", path("/bin/sh")),
        (b"#!  /bin/sh -e\n", path("/bin/sh")),
        (b"#!/usr/bin/env\n", path("/usr/bin/env")),
        (b"#!/usr/bin/env /opt/x\n", path("/opt/x")),
        (
            b"#!/usr/bin/env -S a=b perl -w\n",
            Some(Interpreter::Name("perl".into())),
        ),
        (b"#!\n", None),
        (b"#! \n/bin/sh", None),
        (b"\x7fELF", None),
        (b"# !/bin/sh", None),
        (b"", None),
    ] {
        assert_eq!(interpreter(head), expected, "{:?}", String::from_utf8_lossy(head));
    }
}
