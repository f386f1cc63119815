//! Proof that every invariant can fail: nodes that are broken on purpose, each caught by the invariant it breaks.

use crate::invariants::Invariant;
use crate::mutation::Mutation;
use crate::replay::{self, Failure, Worlds};

/// How many random scenarios a broken node gets to show itself.
const SEEDS: u64 = 1500;

fn catches(mutation: Mutation, invariant: Invariant) {
    catches_in(Worlds::Random, mutation, invariant);
}

fn catches_in(worlds: Worlds, mutation: Mutation, invariant: Invariant) {
    let caught = |seed| matches!(replay::run(worlds, seed, mutation), Err(Failure::Violated(violation)) if violation.invariant == invariant);
    assert!(
        (0..SEEDS).any(caught),
        "{mutation:?} went unnoticed: {invariant:?} held in {SEEDS} scenarios"
    );
}

#[test]
fn the_simulator_catches_routers_that_do_not_hear_each_other() {
    catches(Mutation::Deaf, Invariant::NeverTwoActive);
}

#[test]
fn the_simulator_catches_a_router_that_never_takes_over() {
    catches(Mutation::NeverTakesOver, Invariant::NeverNoneActive);
}

#[test]
fn the_simulator_catches_a_router_that_hides_its_priority() {
    catches(Mutation::HidesItsPriority, Invariant::BestIsActive);
}

#[test]
fn the_simulator_catches_a_router_that_hides_that_its_priority_fell() {
    catches(Mutation::HidesThatItFell, Invariant::WorseIsReplaced);
}

#[test]
fn the_simulator_catches_a_router_that_does_not_know_that_its_service_fails() {
    catches(Mutation::IgnoresItsHealth, Invariant::HealthyBeforeFailing);
}

#[test]
fn the_simulator_catches_a_flapping_node_that_is_never_held_back() {
    catches_in(
        Worlds::Flapping,
        Mutation::NeverHoldsBack,
        Invariant::AddressesDoNotSwing,
    );
}

#[test]
fn the_simulator_catches_a_node_that_never_unbinds() {
    catches(Mutation::NeverUnbinds, Invariant::YielderLetsGo);
}

#[test]
fn the_simulator_catches_addresses_that_outlive_their_process() {
    catches(Mutation::AddressesNeverExpire, Invariant::DeadManSwitch);
}

#[test]
fn the_simulator_catches_a_router_that_overlooks_that_it_was_frozen() {
    catches(Mutation::OverlooksTheGap, Invariant::DeadManSwitch);
}

#[test]
fn the_simulator_catches_a_renewal_that_brings_an_expired_address_back() {
    catches(Mutation::RenewResurrects, Invariant::NoResurrection);
}

#[test]
fn the_simulator_catches_a_successor_that_ignores_priority_zero() {
    catches(Mutation::IgnoresPriorityZero, Invariant::HoleFreeHandover);
}

#[test]
fn the_simulator_catches_a_router_that_lets_go_before_its_successor_serves() {
    catches(Mutation::ReleasesAtOnce, Invariant::HoleFreeHandover);
}

#[test]
fn the_simulator_catches_a_reload_that_starts_the_router_anew() {
    catches(Mutation::RestartsOnReload, Invariant::NothingMovesUnasked);
}

#[test]
fn the_simulator_catches_a_router_that_becomes_active_before_it_may() {
    catches(Mutation::IgnoresTheBan, Invariant::BecomesActiveAllowedOnly);
}

#[test]
fn the_simulator_catches_an_announcement_of_addresses_that_are_not_there() {
    catches(Mutation::AnnouncesEarly, Invariant::OnlyHoldersAnnounce);
}

#[test]
fn the_simulator_catches_a_timer_that_never_advances() {
    catches(Mutation::StaleClock, Invariant::TimersAdvance);
}
