//! Tests that images/Dockerfile, which nothing here can build, says the same of each image as `make images` does.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::busybox::NAMES;
use super::recipe::{AGENT, AGENT_WITH_TOOLS, OPERATOR, Origin, Recipe};
use super::{GROUP, PASSWD, archive};

const DOCKERFILE: &str = include_str!("../../../images/Dockerfile");

/// The instructions by stage, each as its word and the rest; lines that go on are joined.
fn stages() -> BTreeMap<String, Vec<(String, String)>> {
    let whole = DOCKERFILE.replace("\\\n", " ");
    let mut stages: BTreeMap<_, Vec<_>> = BTreeMap::new();
    let mut stage = String::new();
    for line in whole
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
    {
        let (word, rest) = line.split_once(' ').unwrap();
        if word == "FROM" {
            stage = rest.split(' ').next_back().unwrap().to_owned();
        }
        let instructions = stages.entry(stage.clone()).or_default();
        instructions.push((word.to_owned(), rest.to_owned()));
    }
    stages
}

fn all<'s>(stage: &'s [(String, String)], word: &str) -> Vec<&'s str> {
    let of_word = stage.iter().filter(|(other, _)| other == word);
    of_word.map(|(_, rest)| rest.as_str()).collect()
}

fn stage_of(recipe: &Recipe) -> String {
    format!("{}{}", recipe.name, recipe.tag_suffix)
}

#[test]
fn each_image_has_its_labels() {
    let origin = Origin {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        revision: String::new(),
        time: Timestamp::UNIX_EPOCH,
        url: None,
    };
    let stages = stages();
    for recipe in [OPERATOR, AGENT, AGENT_WITH_TOOLS] {
        let mut labels = recipe.labels(&origin);
        // An engine's build knows neither.
        for unknown in [
            "org.opencontainers.image.revision",
            "org.opencontainers.image.created",
        ] {
            labels.remove(unknown);
        }
        let mut expected: Vec<_> = labels
            .iter()
            .map(|(name, value)| format!("{name}={value:?}"))
            .collect();
        let mut written = all(&stages[&stage_of(&recipe)], "LABEL");
        expected.sort();
        written.sort_unstable();
        assert_eq!(written, expected);
    }
}

#[test]
fn each_image_has_its_user_its_program_and_its_search_path() {
    let stages = stages();
    for recipe in [OPERATOR, AGENT] {
        let stage = &stages[recipe.name];
        assert_eq!(all(stage, "FROM"), [format!("scratch AS {}", recipe.name)]);
        assert_eq!(all(stage, "USER"), [recipe.user]);
        assert_eq!(all(stage, "ENTRYPOINT"), [format!("[{:?}]", recipe.entrypoint)]);
        assert_eq!(all(stage, "ENV"), [archive::PATH]);
        let program = format!("--from=build /programs/{} {}", recipe.name, recipe.entrypoint);
        assert!(all(stage, "COPY").contains(&program.as_str()), "{program}");
    }
    let tools = &stages[&stage_of(&AGENT_WITH_TOOLS)];
    assert_eq!(all(tools, "FROM"), ["holdfast-agent AS holdfast-agent-tools"]);
    for word in ["USER", "ENTRYPOINT", "ENV"] {
        assert!(all(tools, word).is_empty(), "the tools change the agent's {word}");
    }
}

#[test]
fn users_and_tools_are_the_same() {
    let stages = stages();
    let run = all(&stages["build"], "RUN").join("\n");
    for text in [PASSWD, GROUP] {
        let escaped = text.replace('\n', "\\n");
        assert!(
            run.contains(&format!("printf '{escaped}'")),
            "the Dockerfile writes no {text}"
        );
    }
    let (_, names) = run.split_once("for name in ").unwrap();
    let names: Vec<_> = names.split(';').next().unwrap().split_whitespace().collect();
    assert_eq!(names, NAMES);
}

#[test]
fn the_compiler_is_that_of_the_toolchain_file() {
    let toolchain = include_str!("../../../rust-toolchain.toml");
    let channel = toolchain
        .lines()
        .find_map(|line| line.strip_prefix("channel = "))
        .unwrap();
    let image = format!("rust:{}-slim-bookworm AS build", channel.trim_matches('"'));
    assert_eq!(all(&stages()["build"], "FROM"), [image]);
}
