use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};

use clap::{CommandFactory as _, Parser as _};

use super::super::{Cli, Command};
use super::*;

const EXAMPLES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/kubeadm");
const FLAGS: &str =
    "--address 10.0.0.100/24 --interface eth0 --peers cp-1=10.0.0.11,cp-2=10.0.0.12,cp-3=10.0.0.13";

fn parse(flags: &str) -> Result<KubeadmArgs, clap::Error> {
    let line = format!("holdfast-agent manifest kubeadm {flags}");
    let Command::Manifest(args) = Cli::try_parse_from(line.split_whitespace())?.command else {
        panic!("another command");
    };
    let Kind::Kubeadm(args) = args.kind;
    Ok(*args)
}

fn text(flags: &str) -> String {
    parse(flags).unwrap().text().unwrap()
}

#[test]
fn help_teaches_with_examples() {
    let mut command = Cli::command().term_width(100);
    command.build();
    let manifest = command.find_subcommand_mut("manifest").unwrap();
    let kubeadm = manifest.find_subcommand_mut("kubeadm").unwrap();
    insta::assert_snapshot!("help", kubeadm.render_long_help());
}

/// The files that the guide shows are what its commands print. `HOLDFAST_WRITE_EXAMPLES=1` writes them.
#[test]
fn the_examples_are_what_the_commands_print() {
    for (file, flags) in [
        ("holdfast.yaml", FLAGS.to_owned()),
        ("control-plane.yaml", format!("{FLAGS} --output group")),
        ("holdfast-haproxy.yaml", format!("{FLAGS} --proxy haproxy")),
        ("holdfast-nginx.yaml", format!("{FLAGS} --proxy nginx")),
    ] {
        let path = Path::new(EXAMPLES).join(file);
        if std::env::var_os("HOLDFAST_WRITE_EXAMPLES").is_some() {
            fs::write(&path, text(&flags)).unwrap();
        }
        assert_eq!(fs::read_to_string(&path).unwrap(), text(&flags), "{file}");
    }
}

#[test]
fn every_flag_has_its_place_in_the_group() {
    let flags = "--address fe80::100/64 --address fd00::100/64 --address 10.0.0.100/24 \
        --peers cp-1=fe80::1,cp-2=fe80::2 --peers cp-1=10.0.0.11,cp-2=10.0.0.12 --name api --virtual-router-id 7 \
        --priority 200 --interval 100ms --preemption 30s --port 7443 --output group";
    insta::assert_snapshot!("group", text(flags));
}

#[test]
fn the_image_and_its_policy_are_in_the_pod() {
    let pod = text(&format!(
        "{FLAGS} --image registry.example.com:5000/holdfast-agent@sha256:00 --image-pull-policy Never"
    ));
    assert!(
        pod.contains("image: registry.example.com:5000/holdfast-agent@sha256:00\n"),
        "{pod}"
    );
    assert!(pod.contains("imagePullPolicy: Never\n"), "{pod}");
}

#[test]
fn what_breaks_a_rule_is_refused_by_its_flag_like_any_other_mistake_in_the_command_line() {
    let failure = parse(&format!("{FLAGS} --priority 300"))
        .unwrap()
        .text()
        .unwrap_err();
    assert!(failure.to_string().contains("\n  --priority: "), "{failure}");
    assert_eq!(
        format!("{:?}", failure.code()),
        format!("{:?}", std::process::ExitCode::from(2))
    );
}

#[test]
fn flags_that_make_no_sense_are_refused_with_what_to_write() {
    for (flags, words) in [
        (
            "--address 10.0.0.100/24 --peers 10.0.0.11",
            "write the node's name too",
        ),
        (
            "--address 10.0.0.100/24 --peers CP_1=10.0.0.11",
            "lower-case letters",
        ),
        (
            &format!("{FLAGS} --preemption Sometimes"),
            "write Never, Immediate",
        ),
        (&format!("{FLAGS} --image a'b"), "reference of an image"),
        ("--peers cp-1=10.0.0.11", "--address"),
        ("--address 10.0.0.100/24", "--peers"),
    ] {
        let error = parse(flags).unwrap_err();
        assert_eq!(error.exit_code(), 2);
        assert!(error.to_string().contains(words), "{error}");
    }
}

#[test]
fn a_group_is_not_put_where_the_kubelet_would_take_it_for_a_pod() {
    let line = format!("holdfast-agent manifest kubeadm {FLAGS} --output group --write");
    let Command::Manifest(args) = Cli::try_parse_from(line.split_whitespace()).unwrap().command else {
        panic!("another command");
    };
    let failure = manifest(args).unwrap_err();
    assert!(failure.to_string().starts_with("--write: "), "{failure}");
}

#[test]
fn a_path_is_given_with_an_equals_sign_and_without_one_it_is_the_kubelets() {
    assert_eq!(parse(FLAGS).unwrap().write, None);
    assert_eq!(
        parse(&format!("{FLAGS} --write")).unwrap().write.as_deref(),
        Some(Path::new(PLACE))
    );
    assert_eq!(
        parse(&format!("{FLAGS} --write=/a/b.yaml"))
            .unwrap()
            .write
            .as_deref(),
        Some(Path::new("/a/b.yaml"))
    );
}

#[test]
fn a_file_that_is_right_is_not_touched() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("manifests/holdfast.yaml");
    assert_eq!(put(&path, "one").unwrap(), Put::Changed);
    let first = fs::metadata(&path).unwrap();
    assert_eq!(first.permissions().mode() & 0o777, 0o600);
    assert_eq!(
        fs::metadata(path.parent().unwrap()).unwrap().permissions().mode() & 0o777,
        0o700
    );
    assert_eq!(put(&path, "one").unwrap(), Put::Unchanged);
    let second = fs::metadata(&path).unwrap();
    assert_eq!(
        (first.ino(), first.ctime_nsec()),
        (second.ino(), second.ctime_nsec())
    );
    assert_eq!(put(&path, "two").unwrap(), Put::Changed);
    assert_eq!(fs::read_to_string(&path).unwrap(), "two");
    assert_eq!(
        fs::read_dir(path.parent().unwrap()).unwrap().count(),
        1,
        "nothing is left beside it"
    );
}

#[test]
fn a_link_is_replaced_and_its_target_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let (path, target) = (folder.path().join("holdfast.yaml"), folder.path().join("target"));
    fs::write(&target, "old").unwrap();
    symlink(&target, &path).unwrap();
    assert_eq!(put(&path, "new").unwrap(), Put::Changed);
    assert!(!fs::symlink_metadata(&path).unwrap().is_symlink());
    assert_eq!(fs::read_to_string(&target).unwrap(), "old");
}

#[test]
fn a_place_that_cannot_be_written_is_named_with_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let sentence = |path: &Path| put(path, "text").unwrap_err().to_string();
    let said = sentence(folder.path());
    assert!(said.contains("name a file in it"), "{said}");
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    let said = sentence(&file.join("holdfast.yaml"));
    assert!(said.contains("a part of the path is a file"), "{said}");
    let said = sentence(Path::new("/proc/holdfast.yaml"));
    assert!(said.starts_with("writing /proc/holdfast.yaml: "), "{said}");
}
