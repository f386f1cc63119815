//! Everything that people may begin with is taken by the API server, and given back.

use std::{
    fs,
    path::{Path, PathBuf},
};

use holdfast_e2e::{Result, chart::Objects};

use crate::world::World;

/// What becomes of a file of the examples here.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Use {
    /// It is applied, and deleted again.
    Applied,
    /// It is applied as far as the API server goes, but not kept: its group has the name of the control plane's, and would be an edit of
    /// it, or it is a Pod for a kubelet's folder of manifests, whose program would run beside those that are there.
    OnlyChecked,
    /// It is no object of the API: what kubeadm and proxies are told.
    NotAnObject,
}

/// All files, beside the groups that are in use.
pub fn applied(world: &mut World) -> Result<()> {
    let mut files = Vec::new();
    files_below(&world.root.join("examples"), &mut files)?;
    let mut counts = [0; 3];
    for file in files {
        let what_for = use_of(&file).map_err(|error| format!("{}: {error}", file.display()))?;
        counts[what_for as usize] += 1;
        let file = file.display().to_string();
        match what_for {
            Use::Applied => {
                world.kubectl(&["apply", "-f", &file])?;
                world.kubectl(&["delete", "--timeout=60s", "-f", &file])?;
            }
            Use::OnlyChecked => {
                world.kubectl(&["apply", "--dry-run=server", "-f", &file])?;
            }
            Use::NotAnObject => {}
        }
    }
    let [applied, checked, others] = counts;
    assert!(applied > 5, "{applied} examples");
    world.say(&format!(
        "  of examples/ {applied} files were applied and deleted again, {checked} were applied with --dry-run=server, \
         and {others} are no objects"
    ));
    Ok(())
}

fn files_below(folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            files_below(&path, files)?;
        } else {
            files.push(path);
        }
    }
    Ok(())
}

/// A file that is none of what is known here is an error: somebody has to say what it is for.
fn use_of(file: &Path) -> Result<Use> {
    if file.extension().is_some_and(|end| end == "cfg" || end == "conf") {
        return Ok(Use::NotAnObject);
    }
    let Objects(objects) = Objects::read(&fs::read_to_string(file)?)?;
    let mut uses = objects.iter().map(|object| {
        let word = |pointer: &str| object.pointer(pointer).and_then(|value| value.as_str());
        match (word("/apiVersion"), word("/kind"), word("/metadata/name")) {
            (_, Some("VirtualIPGroup"), Some("control-plane")) | (Some("v1"), Some("Pod"), _) => {
                Ok(Use::OnlyChecked)
            }
            (_, Some("VirtualIPGroup"), Some(_)) => Ok(Use::Applied),
            (Some(version), ..) if version.starts_with("kubeadm.k8s.io/") => Ok(Use::NotAnObject),
            (version, kind, name) => Err(format!(
                "the test knows no use for {version:?}, {kind:?}, {name:?}: name it there"
            )),
        }
    });
    let first = uses.next().ok_or("it is empty")??;
    for other in uses {
        if other? != first {
            return Err("its objects are not all for the same use".into());
        }
    }
    Ok(first)
}
