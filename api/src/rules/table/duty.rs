//! The rules about what is asked of nodes beside the election.

use super::super::cel::Server::{Cannot, Checks};
use super::super::{Check, Rule, duty};
use super::{FILES, in_files, rule, warning};

/// The rules, in the order of the fields they are about.
pub(super) const RULES: &[Rule] = &[
    rule(
        "damping-window",
        "spec.flapDamping.window",
        "changes are counted within this time: write how long, such as 3m, or `changes: 0` to hold nobody back",
        Check::Group(duty::window),
        Checks(duty::WINDOW),
    ),
    rule(
        "damping-longest",
        "spec.flapDamping.longest",
        "this is less than `window`, which is the shortest time: write as much or more",
        Check::Group(duty::longest),
        Checks(duty::LONGEST),
    ),
    rule(
        "sync-group",
        "spec.syncGroup",
        "`{value}` cannot name a sync group: write at most 63 lower-case letters, digits and `-`, a letter or digit first and last",
        Check::Group(duty::sync_group),
        Checks(duty::SYNC_GROUP),
    ),
    rule(
        "taint-key",
        "spec.maintenance.onTaint[].key",
        "`{value}` cannot be the key of a taint: write it as `kubectl describe node` shows it, such as node.kubernetes.io/out-of-service",
        Check::Group(duty::taint_key),
        Checks(duty::TAINT_KEY),
    ),
    rule(
        "taint-value",
        "spec.maintenance.onTaint[].value",
        "`{value}` cannot be the value of a taint: write letters, digits, `-`, `_` and `.`, or remove it for any value",
        Check::Group(duty::taint_value),
        Checks(duty::TAINT_VALUE),
    ),
    rule(
        "taint-effect",
        "spec.maintenance.onTaint[].effect",
        "`{value}` is no effect of a taint: write NoSchedule, PreferNoSchedule or NoExecute, or remove it for any",
        Check::Group(duty::taint_effect),
        Checks(duty::TAINT_EFFECT),
    ),
    in_files(warning(rule(
        "maintenance-file",
        "spec.maintenance",
        "a node on its own cannot be cordoned or tainted, so that nothing comes of this: remove it, or stop the agent for maintenance",
        Check::Group(duty::maintenance),
        Cannot(FILES),
    ))),
    in_files(rule(
        "sync-group-equal",
        "spec.syncGroup",
        "this is not the same as in group {other}, and the two move together as sync group `{value}`: write the same in both",
        Check::Pair(duty::in_step),
        Cannot(FILES),
    )),
];
