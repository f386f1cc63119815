//! Tests that keep the Makefile what it promises to be: every target explained, one line long, and a call of xtask.

use std::collections::BTreeSet;

use clap::CommandFactory;

use crate::Cli;
use crate::deps::Purpose;

const MAKEFILE: &str = include_str!("../../Makefile");

/// Each target with its explanation and its recipe's lines.
fn targets() -> Vec<(&'static str, Option<&'static str>, Vec<&'static str>)> {
    let mut targets = Vec::new();
    for line in MAKEFILE.lines() {
        if let Some(recipe) = line.strip_prefix('\t') {
            let (_, _, recipes): &mut (_, _, Vec<_>) = targets.last_mut().expect("a recipe follows a target");
            recipes.push(recipe);
        } else if let Some((name, rest)) = line.split_once(':')
            && name
                .chars()
                .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
            && !rest.starts_with('=')
        {
            targets.push((name, rest.split_once("## ").map(|(_, text)| text), Vec::new()));
        }
    }
    targets
}

#[test]
fn every_target_is_explained_and_one_line_long() {
    let targets = targets();
    assert!(targets.len() > 5, "the Makefile was not understood: {targets:?}");
    for (name, explanation, recipes) in targets {
        assert!(
            explanation.is_some_and(|text| !text.is_empty()),
            "make {name} has no `## ` explanation"
        );
        assert_eq!(recipes.len(), 1, "make {name} is not one line");
    }
}

#[test]
fn every_target_is_phony() {
    let phony = MAKEFILE
        .lines()
        .find_map(|line| line.strip_prefix(".PHONY: "))
        .unwrap();
    let phony: BTreeSet<_> = phony.split_whitespace().collect();
    assert_eq!(phony, targets().iter().map(|(name, ..)| *name).collect());
}

#[test]
fn every_target_but_help_calls_xtask_with_arguments_that_it_takes() {
    for (name, _, recipes) in targets().into_iter().filter(|(name, ..)| *name != "help") {
        let arguments = recipes[0]
            .strip_prefix("$(XTASK) ")
            .unwrap_or_else(|| panic!("make {name} is no call of xtask"));
        let words = std::iter::once("xtask").chain(arguments.split_whitespace());
        Cli::command()
            .try_get_matches_from(words)
            .unwrap_or_else(|error| panic!("make {name}: {error}"));
    }
}

#[test]
fn every_command_of_xtask_has_a_target() {
    let targets: BTreeSet<_> = targets().into_iter().map(|(name, ..)| name).collect();
    for command in Cli::command().get_subcommands() {
        assert!(
            targets.contains(command.get_name()),
            "there is no `make {}`",
            command.get_name()
        );
    }
}

#[test]
fn every_target_that_needs_programs_exists() {
    let targets: BTreeSet<_> = targets()
        .into_iter()
        .map(|(name, ..)| format!("make {name}"))
        .collect();
    for purpose in Purpose::ALL {
        assert!(
            targets.contains(purpose.target()),
            "there is no `{}`",
            purpose.target()
        );
    }
}
