//! The table of rules. A sentence is read after the field's path and says what is wrong and what to write instead.

mod duty;
mod election;
mod probes;

use super::cel::Server;
use super::{Check, Rule, Scope, Severity};

/// Why the API server leaves a rule to Holdfast.
const WARNS: &str = "its rules can only refuse, and this one warns";
const TWO_GROUPS: &str = "it looks at one group at a time";
const FILES: &str = "it never sees a file";
const PATTERNS: &str = "its regular expressions are not those that probes use";

/// The parts of the table.
const PARTS: [&[Rule]; 3] = [election::RULES, probes::RULES, duty::RULES];

/// All rules.
pub static TABLE: &[Rule] = &JOINED;

static JOINED: [Rule; PARTS[0].len() + PARTS[1].len() + PARTS[2].len()] = {
    let mut joined = [PARTS[0][0]; PARTS[0].len() + PARTS[1].len() + PARTS[2].len()];
    let (mut next, mut part) = (0, 0);
    while part < PARTS.len() {
        let mut index = 0;
        while index < PARTS[part].len() {
            joined[next] = PARTS[part][index];
            next += 1;
            index += 1;
        }
        part += 1;
    }
    joined
};

const fn rule(
    id: &'static str,
    field: &'static str,
    sentence: &'static str,
    check: Check,
    server: Server,
) -> Rule {
    Rule {
        id,
        field,
        sentence,
        scope: Scope::Everywhere,
        severity: Severity::Refuse,
        check,
        server,
    }
}

const fn in_files(rule: Rule) -> Rule {
    Rule {
        scope: Scope::Files,
        ..rule
    }
}

const fn warning(rule: Rule) -> Rule {
    Rule {
        severity: Severity::Warn,
        ..rule
    }
}
