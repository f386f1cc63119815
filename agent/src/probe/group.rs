//! One group's probes: the tasks that run them, what is made of what they find, and what of that is news.

use core::time::Duration;
use std::collections::BTreeMap;

use holdfast_api::model::{NodeGroup, probe as model};
use holdfast_health::{Duty, GroupHealth, Outcome, Policy, Report, Run};
use holdfast_vrrp::Instant;
use jiff::Timestamp;

use super::clocks::Clocks;
use super::runner::{Bench, Finding, Name, Task};
use super::{shown, words};
use crate::engine::Judged;
use crate::status::{FaultStatus, HealthStatus};

/// One group's probes.
#[derive(Debug)]
pub struct Group {
    spec: NodeGroup,
    /// What decides now: as written, and what the present time and the node's end make of it.
    policy: Policy,
    health: GroupHealth,
    running: BTreeMap<String, Running>,
    /// What was made of it last.
    report: Report,
    /// The dates of the instants in the report, each asked for once.
    dates: BTreeMap<Instant, Timestamp>,
    /// What the engine was told.
    told: Option<Judged>,
    /// What was told of that somebody should see to.
    warned: Vec<FaultStatus>,
}

/// A probe that is being run.
#[derive(Debug)]
struct Running {
    definition: model::Probe,
    number: u64,
    _task: Task,
    /// The attempt at healing that is being made, by the number of its task.
    healing: Option<(u64, Task)>,
    counted: Counted,
    /// What somebody should see to although it fails no run.
    warnings: Vec<FaultStatus>,
}

/// How a probe's runs have ended since the agent started.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Counted {
    /// By how they ended.
    pub runs: BTreeMap<Outcome, u64>,
    /// How long all of them took.
    pub took: Duration,
}

/// What all groups have to do with.
pub struct Surroundings {
    /// What tasks need.
    pub bench: Bench,
    /// The time.
    pub clocks: Clocks,
    /// The number of the last task that was started.
    pub tasks: u64,
    /// Why every group is to be given up, if that is so.
    pub released: Option<String>,
}

/// What has come of a change.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct News {
    /// What the engine is to be told.
    pub tell: Option<Judged>,
    /// Lines for the log.
    pub lines: Vec<words::Line>,
    /// Whether a verdict has changed, which somebody may be waiting to hear.
    pub is_prompt: bool,
}

impl Group {
    /// The probes of a group that is new to this agent begin to be run.
    pub fn new(spec: NodeGroup, around: &mut Surroundings) -> Self {
        let policy = policy(&spec, around);
        let health = GroupHealth::new(around.clocks.now(), policy.clone());
        let mut group = Self {
            report: health.report(),
            spec,
            policy,
            health,
            running: BTreeMap::new(),
            dates: BTreeMap::new(),
            told: None,
            warned: Vec::new(),
        };
        group.run_probes(around);
        group
    }

    /// The group is written otherwise now. Probes that are not go on undisturbed, in their time too.
    pub fn configure(&mut self, spec: NodeGroup, around: &mut Surroundings) {
        if self.spec != spec {
            self.spec = spec;
            self.reconsider(around);
            self.run_probes(around);
        }
    }

    /// The time, or the node's end, may have changed what decides.
    pub fn reconsider(&mut self, around: &Surroundings) {
        let policy = policy(&self.spec, around);
        if self.policy != policy {
            self.health.configure(around.clocks.now(), policy.clone());
            self.policy = policy;
        }
    }

    /// Takes note of what a task has found. What a task has found that was ended meanwhile is nobody's concern.
    pub fn take(&mut self, finding: Finding, around: &mut Surroundings) {
        let now = around.clocks.now();
        let Some(running) = self.running.get_mut(&finding.probe) else {
            return;
        };
        if finding.healing {
            if running
                .healing
                .take_if(|(number, _)| *number == finding.task)
                .is_some()
            {
                self.health.recovered(now, &finding.probe, finding.run);
            }
            return;
        }
        if running.number != finding.task {
            return;
        }
        *running.counted.runs.entry(finding.run.outcome).or_default() += 1;
        running.counted.took = running.counted.took.saturating_add(finding.took);
        running.warnings = finding.warnings;
        if let Some(attempt) = self.health.take(now, &finding.probe, finding.run) {
            self.heal(&attempt.probe, around);
        }
    }

    /// Until when an instant passes that changes something by itself.
    pub fn next_timeout(&self) -> Option<Instant> {
        self.health.next_timeout()
    }

    /// That instant has come.
    pub fn handle_timeout(&mut self, clocks: &Clocks) {
        self.health.handle_timeout(clocks.now());
    }

    /// What is news since this was asked last.
    pub fn news(&mut self, clocks: &Clocks) -> News {
        let report = self.health.report();
        let known = core::mem::take(&mut self.dates);
        self.dates = shown::instants(&report)
            .map(|then| {
                let date = known.get(&then).copied();
                (then, date.unwrap_or_else(|| clocks.date_of(then)))
            })
            .collect();
        let judged = Judged {
            judgement: report.judgement,
            preferred: self.policy.preferred,
            why: why(&report),
        };
        let is_news = self.told.as_ref() != Some(&judged);
        let warnings = self.warnings();
        let mut lines = words::lines(&self.spec.name, &self.report, &report, &self.dates);
        lines.extend(words::warned(&self.spec.name, &self.warned, &warnings));
        let news = News {
            tell: is_news.then(|| judged.clone()),
            lines,
            is_prompt: is_prompt(&self.report, &report) || self.warned != warnings,
        };
        self.told = Some(judged);
        self.report = report;
        self.warned = warnings;
        news
    }

    /// What is shown of it.
    pub fn status(&self) -> HealthStatus {
        let counted = |probe: &str| self.running.get(probe).map(|running| running.counted.clone());
        HealthStatus {
            warnings: self.warned.clone(),
            ..shown::health(&self.report, &self.dates, counted)
        }
    }

    /// What the probes say that somebody should see to, each thing once.
    fn warnings(&self) -> Vec<FaultStatus> {
        let mut warnings: Vec<FaultStatus> = Vec::new();
        for warning in self.running.values().flat_map(|running| &running.warnings) {
            if !warnings.contains(warning) {
                warnings.push(warning.clone());
            }
        }
        warnings
    }

    /// Starts what is new or was edited, and ends what is gone or was edited.
    fn run_probes(&mut self, around: &mut Surroundings) {
        let mut before = core::mem::take(&mut self.running);
        for probe in &self.spec.probes {
            let running = before.remove(&probe.name);
            let running = match running {
                Some(running) if running.definition == *probe => running,
                edited => {
                    if edited.is_some() {
                        self.health.count_anew(around.clocks.now(), &probe.name);
                    }
                    let counted = edited.map(|edited| edited.counted).unwrap_or_default();
                    let name = name(&self.spec.name, &probe.name, around);
                    Running {
                        definition: probe.clone(),
                        number: name.task,
                        _task: around.bench.run(name, probe.clone()),
                        healing: None,
                        counted,
                        warnings: Vec::new(),
                    }
                }
            };
            self.running.insert(probe.name.clone(), running);
        }
    }

    fn heal(&mut self, probe: &str, around: &mut Surroundings) {
        let Some(running) = self.running.get_mut(probe) else {
            return;
        };
        let Some(recover) = &running.definition.recover else {
            // The policy and what is run come from one field; a probe must not wait for ever if they do not.
            let run = Run::new(Outcome::CouldNotRun, "nothing is written that could heal it");
            self.health.recovered(around.clocks.now(), probe, run);
            return;
        };
        let name = name(&self.spec.name, probe, around);
        running.healing = Some((name.task, around.bench.heal(name, recover)));
    }
}

fn name(group: &str, probe: &str, around: &mut Surroundings) -> Name {
    around.tasks += 1;
    Name {
        task: around.tasks,
        group: group.to_owned(),
        probe: probe.to_owned(),
    }
}

/// What decides about a group now.
fn policy(spec: &NodeGroup, around: &Surroundings) -> Policy {
    let (written, date) = (spec.health.clone(), around.clocks.date());
    let released = around.released.clone().map(Duty::Release);
    Policy {
        preferred: spec
            .preferred
            .is_some_and(|until| until.is_none_or(|until| date < until)),
        duty: released.unwrap_or(written.duty),
        ..written
    }
}

/// What a judgement comes from, in one line.
fn why(report: &Report) -> String {
    if report.faults.is_empty() {
        return report.sum.clone();
    }
    let sentences: Vec<&str> = report
        .faults
        .iter()
        .map(|(_, sentence)| sentence.as_str())
        .collect();
    sentences.join("; ")
}

/// Whether a verdict, or whether the node is held back, has changed.
fn is_prompt(before: &Report, now: &Report) -> bool {
    before.held_back.is_some() != now.held_back.is_some()
        || now.probes.iter().any(|probe| {
            let known = before.probes.iter().find(|known| known.name == probe.name);
            known.is_some_and(|known| known.verdict != probe.verdict)
        })
}
