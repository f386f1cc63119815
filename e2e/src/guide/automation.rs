//! What other programs are told to type: words instead of lines, and the same as a reader of the guide types.

use std::path::Path;

use holdfast_api::yaml;
use serde_json::Value;

use super::{Guide, Part};

/// A command's words as it is typed, with `flag=value` taken apart and no word of where a file is.
fn words<'w>(command: impl IntoIterator<Item = &'w str>) -> Vec<String> {
    let flags = command.into_iter().flat_map(|word| match word.split_once('=') {
        Some((flag, value)) if flag.starts_with("--") => vec![flag, value],
        _ => vec![word],
    });
    let name = |word: &str| match Path::new(word).file_name() {
        Some(name) if word.starts_with('/') => name.to_string_lossy().into_owned(),
        _ => word.to_owned(),
    };
    flags.map(name).collect()
}

/// The words of each command of a block that is typed.
fn typed(guide: &Guide, part: Part) -> Vec<Vec<String>> {
    let block = guide
        .block(part)
        .expect("a part of the guide")
        .replace("\\\n", " ");
    block.lines().map(|line| words(line.split_whitespace())).collect()
}

/// What the block's YAML has at this place: commands as lists of words.
fn told(guide: &Guide, part: Part, place: &str) -> Vec<Vec<String>> {
    let block = guide.block(part).expect("a part of the guide");
    let documents = yaml::read(block).expect("YAML");
    let found = documents[0].value.pointer(place).cloned();
    let found = found.unwrap_or_else(|| panic!("{part:?} has {place}"));
    // Of one command, or of several.
    let commands = match found {
        Value::Array(commands) if commands.iter().all(Value::is_array) => commands,
        command => vec![command],
    };
    commands
        .iter()
        .map(|command| words(command.as_array().into_iter().flatten().filter_map(Value::as_str)))
        .collect()
}

#[test]
fn cloud_init_and_ansible_type_what_a_reader_types() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let guide = Guide::read(&root).expect("docs/kubeadm.md");
    let manifest = &typed(&guide, Part::Manifest)[0];
    let cloud_init = told(&guide, Part::CloudInit, "/runcmd");
    assert_eq!(cloud_init[0], typed(&guide, Part::Agent)[0]);
    assert_eq!(&cloud_init[1], manifest);
    assert_eq!(cloud_init[2], typed(&guide, Part::Init)[0]);
    assert_eq!(cloud_init.len(), 3);
    let ansible = told(&guide, Part::Ansible, "/0/ansible.builtin.command/argv");
    assert_eq!(ansible, std::slice::from_ref(manifest));
}

#[test]
fn the_operator_is_given_the_group_that_the_manifest_has() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let guide = Guide::read(&root).expect("docs/kubeadm.md");
    let manifest = &typed(&guide, Part::Manifest)[0];
    let [given, awaited] = &typed(&guide, Part::Operator)[..] else {
        panic!("two commands");
    };
    let (write, flags) = manifest.split_last().expect("words");
    assert_eq!(write, "--write");
    let group = words("--output group | kubectl apply -f -".split_whitespace());
    assert_eq!(given, &[flags, &group].concat());
    assert_eq!(awaited[..3], ["kubectl", "wait", "vipg/control-plane"]);
}
