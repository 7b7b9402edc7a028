//! Ten thousand random histories of a promotion, told to the rules that Slipway goes by and to a tiny model of what they
//! are to mean. After each event the two agree on where the promotion stands, which rules are met and who counts.
//!
//! The model knows nothing of seats, standings or matchings: it asks every person about every rule, and tries every way
//! in which the people who said yes could be shared out.

use super::*;
use crate::{
    id::{DecisionId, PolicyId},
    permission::Role,
    policy::{Distinct, Eligible, GateSpec, Policy, PolicyDocument, Rule, stricter},
    user::{Email, Member, User},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::LazyLock,
    thread,
};
use uuid::Uuid;

const HISTORIES: u64 = 10_000;
const EVENTS: usize = 20;
const PEOPLE: usize = 6;
const RULES: [(&str, &str); 3] = [("p", "one"), ("p", "two"), ("q", "one")];

/// SplitMix64 (Steele, Lea and Flood, Fast Splittable Pseudorandom Number Generators, 2014).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        usize::try_from((z ^ (z >> 31)) % sides as u64).unwrap()
    }

    fn often(&mut self) -> bool {
        self.roll(4) > 0
    }
}

/// What a rule asks for, in the model's words.
#[derive(Debug, Clone, PartialEq)]
struct Wants {
    approvals: usize,
    teams: BTreeSet<&'static str>,
    not_requester: bool,
    not_trainer: bool,
}

/// What one revision of the policies asks for.
#[derive(Debug, Clone, PartialEq)]
struct Asked {
    rules: [Wants; 3],
    /// The two rules of p must have different people.
    apart: bool,
    threshold: i32,
}

#[derive(Debug, Clone)]
struct Someone {
    approver: bool,
    service: bool,
    teams: BTreeSet<&'static str>,
}

#[derive(Debug, Clone)]
struct Said {
    who: usize,
    verdict: DecisionVerdict,
    rules: BTreeSet<usize>,
    in_own_name: bool,
    subject: u8,
}

/// All that is so, and all that happened.
#[derive(Debug, Clone)]
struct World {
    people: Vec<Someone>,
    stand_ins: Vec<(usize, usize)>,
    requester: usize,
    trainer: Option<usize>,
    pinned: Asked,
    in_force: Asked,
    subject: u8,
    agreed_subject: u8,
    gates: GatesStand,
    overridden: Option<u8>,
    exists: bool,
    expired: bool,
    frozen: bool,
    said: Vec<Said>,
    state: PromotionState,
}

/// The model.
mod model {
    use super::*;

    /// Whether somebody counts for a rule by themselves, and whether they might if it named them.
    fn may(world: &World, who: usize, rule: usize) -> (bool, bool) {
        let (person, wants) = (&world.people[who], &world.pinned.rules[rule]);
        let kept = person.service
            || !person.approver
            || (wants.not_requester && who == world.requester)
            || (wants.not_trainer && (world.trainer.is_none() || world.trainer == Some(who)));
        let named = person.teams.iter().any(|team| wants.teams.contains(team));
        (!kept && named, !kept)
    }

    /// Whose vote somebody's yes can be for a rule.
    fn for_whom(world: &World, said: &Said, rule: usize, elsewhere: &BTreeSet<usize>) -> Vec<usize> {
        let (by_themselves, might) = may(world, said.who, rule);
        let mut all = Vec::new();
        if by_themselves {
            all.push(said.who);
        } else if might && said.who != world.requester && !said.in_own_name {
            for away in 0..PEOPLE {
                if world.stand_ins.contains(&(away, said.who)) && may(world, away, rule).0 {
                    all.push(away);
                }
            }
        }
        if elsewhere.contains(&said.who) {
            all.clear();
        }
        all.retain(|away| !elsewhere.contains(away));
        all
    }

    /// The most people that can be told whose vote theirs is, no two the same: every way is tried.
    fn most(choices: &[Vec<usize>], taken: &mut BTreeSet<usize>) -> usize {
        let Some((first, rest)) = choices.split_first() else { return 0 };
        let mut best = most(rest, taken);
        for away in first {
            if taken.insert(*away) {
                best = best.max(1 + most(rest, taken));
                taken.remove(away);
            }
        }
        best
    }

    /// What each person said last, on what is agreed on now.
    fn last(world: &World) -> Vec<&Said> {
        let here: Vec<&Said> = world.said.iter().filter(|said| said.subject == world.agreed_subject).collect();
        let is_last = |at: usize| !here[at + 1..].iter().any(|later| later.who == here[at].who);
        (0..here.len()).filter(|at| is_last(*at)).map(|at| here[at]).collect()
    }

    /// Who counts for a rule, when these count for one that must have others.
    pub(super) fn counted(world: &World, rule: usize, elsewhere: &BTreeSet<usize>) -> BTreeSet<usize> {
        let mut yes: Vec<(usize, Vec<usize>)> = Vec::new();
        for said in last(world) {
            if said.verdict == DecisionVerdict::Approve && said.rules.contains(&rule) {
                yes.push((said.who, for_whom(world, said, rule, elsewhere)));
            }
        }
        yes.sort_by_key(|(who, choices)| choices != &[*who]); // those who vote for themselves first
        let (mut counted, mut before, mut choices) = (BTreeSet::new(), 0, Vec::new());
        for (who, more) in yes {
            choices.push(more);
            let now = most(&choices, &mut BTreeSet::new());
            if now > before {
                counted.insert(who);
            }
            before = now;
        }
        counted
    }

    /// Whether a vote may be for somebody at all.
    pub(super) fn can_be_for(world: &World, who: usize, away: usize, rule: usize) -> bool {
        last(world).iter().any(|said| said.who == who && for_whom(world, said, rule, &BTreeSet::new()).contains(&away))
    }

    /// Whether somebody who might decide wants changes.
    pub(super) fn held_up(world: &World) -> bool {
        last(world).iter().any(|said| {
            let asked = Said { in_own_name: false, ..(*said).clone() };
            said.verdict == DecisionVerdict::RequestChanges
                && (0..RULES.len()).any(|rule| !for_whom(world, &asked, rule, &BTreeSet::new()).is_empty())
        })
    }

    pub(super) fn gates_pass(world: &World) -> bool {
        let overridden = world.overridden == Some(world.agreed_subject);
        world.gates == GatesStand::Passed || (world.gates == GatesStand::Held && overridden)
    }

    /// Whether the policies in force ask for more than those that were agreed under.
    fn is_stricter(then: &Asked, now: &Asked) -> bool {
        let rule = |then: &Wants, now: &Wants| {
            now.approvals > then.approvals
                || !then.teams.is_subset(&now.teams)
                || (now.not_requester && !then.not_requester)
                || (now.not_trainer && !then.not_trainer)
        };
        now.threshold > then.threshold
            || (now.apart && !then.apart)
            || then.rules.iter().zip(&now.rules).any(|(then, now)| rule(then, now))
    }

    pub(super) fn holds(world: &World) -> bool {
        world.subject == world.agreed_subject && !is_stricter(&world.pinned, &world.in_force)
    }

    /// Where it stands when nothing more happens by itself. `met`: every rule is.
    pub(super) fn settles(world: &World, met: bool, tried: Attempt) -> PromotionState {
        use PromotionState as S;
        let (mut state, mut tried) = (world.state, tried);
        let agreed_by_all = met && !held_up(world);
        let all_of_it = holds(world) && gates_pass(world) && agreed_by_all;
        let waits = [S::GatesRunning, S::Blocked, S::AwaitingApproval, S::Approved, S::Scheduled];
        loop {
            let under_way = state == S::Deploying || state == S::Verifying;
            let before = state;
            if !waits.contains(&state) && !under_way {
                return state;
            } else if !world.exists {
                state = S::Invalidated;
            } else if world.expired && !under_way {
                state = S::Expired;
            } else if state == S::GatesRunning && world.gates == GatesStand::Pending {
            } else if state == S::GatesRunning || state == S::Blocked {
                state = if gates_pass(world) { S::AwaitingApproval } else { S::Blocked };
            } else if !holds(world) || !gates_pass(world) {
                state = S::Invalidated;
            } else if state == S::AwaitingApproval {
                if agreed_by_all {
                    state = S::Approved;
                }
            } else if !all_of_it {
                state = S::Invalidated;
            } else if !under_way {
                state = if !world.frozen { S::Deploying } else { S::Scheduled };
            } else if world.frozen || tried == Attempt::Failed {
                state = S::Aborted;
            } else if tried == Attempt::Worked {
                state = if state == S::Deploying { S::Verifying } else { S::Live };
                tried = Attempt::Not;
            }
            if state == before {
                return state;
            }
        }
    }
}

fn id(who: usize) -> UserId {
    UserId(Uuid::from_u128(who as u128 + 1))
}

fn who(id: UserId) -> usize {
    usize::try_from(id.0.as_u128()).unwrap() - 1
}

fn digest(subject: u8) -> Digest {
    static ALL: LazyLock<Vec<Digest>> = LazyLock::new(|| (0..=u8::MAX).map(|at| Digest::blake3([at; 32])).collect());
    ALL[usize::from(subject)].clone()
}

/// The policies as documents.
fn policies(asked: &Asked) -> PolicySet {
    let rule = |at: usize| {
        let wants = &asked.rules[at];
        let mut distinct_from = BTreeSet::new();
        for (is, distinct) in [
            (wants.not_requester, Distinct::Requester),
            (wants.not_trainer, Distinct::Trainer),
            (asked.apart && at == 1, Distinct::Rule("one".to_owned())),
        ] {
            distinct_from.extend(is.then_some(distinct));
        }
        Rule {
            name: RULES[at].1.to_owned(),
            eligible: Eligible {
                teams: wants.teams.iter().map(|team| (*team).to_owned()).collect(),
                ..Eligible::default()
            },
            approvals: u8::try_from(wants.approvals).unwrap(),
            distinct_from,
            ..Rule::of_approvers(1)
        }
    };
    let policy = |name: &str, rules: Vec<Rule>, gates: Vec<GateSpec>| Policy {
        id: PolicyId(Uuid::nil()),
        workspace_id: WorkspaceId(Uuid::nil()),
        name: name.to_owned(),
        revision: 1,
        document: PolicyDocument { rules, gates, ..PolicyDocument::default() },
        source: None,
        retired: false,
        digest: digest(0),
        created_at: DateTime::UNIX_EPOCH,
        created_by: String::new(),
    };
    let gate = GateSpec::MetricThreshold {
        metric: "accuracy".to_owned(),
        better: Better::Higher,
        threshold: f64::from(asked.threshold),
    };
    PolicySet::pinned([policy("q", vec![rule(2)], vec![gate]), policy("p", vec![rule(0), rule(1)], Vec::new())])
}

fn electorate(world: &World) -> Electorate {
    static USERS: LazyLock<Vec<User>> = LazyLock::new(|| {
        let user = |at: usize| User {
            id: id(at),
            email: Email::parse(&format!("{at}@example.com")).unwrap(),
            name: at.to_string(),
            is_service: false,
            created_at: DateTime::UNIX_EPOCH,
        };
        (0..PEOPLE).map(user).collect()
    });
    let person = |(at, one): (usize, &Someone)| Person {
        member: Member {
            user: User { is_service: one.service, ..USERS[at].clone() },
            roles: one.approver.then_some(Role::Approver).into_iter().collect(),
            since: DateTime::UNIX_EPOCH,
            last_seen_at: None,
        },
        teams: one.teams.iter().map(|team| (*team).to_owned()).collect(),
    };
    Electorate {
        people: world.people.iter().enumerate().map(person).collect(),
        stand_ins: world.stand_ins.iter().map(|(from, to)| StandIn { from: id(*from), to: id(*to) }).collect(),
        lineage: Lineage {
            requesters: BTreeSet::from([id(world.requester)]),
            trainers: world.trainer.map(|trainer| BTreeSet::from([id(trainer)])),
            ..Lineage::default()
        },
    }
}

fn decisions(world: &World) -> Vec<Decision> {
    static KEYS: LazyLock<Vec<String>> =
        LazyLock::new(|| RULES.iter().map(|(policy, rule)| key(policy, rule)).collect());
    let decision = |said: &Said| Decision {
        id: DecisionId(Uuid::nil()),
        user_id: id(said.who),
        user_name: String::new(),
        verdict: said.verdict,
        comment: String::new(),
        subject_digest: digest(said.subject),
        rules: said.rules.iter().map(|rule| KEYS[*rule].clone()).collect(),
        acting_for: (!said.in_own_name)
            .then(|| said.rules.iter().map(|rule| (KEYS[*rule].clone(), id(PEOPLE + 1))).collect()),
        inputs: BTreeMap::new(),
        checked: BTreeMap::new(),
        reauthenticated: false,
        at: DateTime::UNIX_EPOCH,
    };
    world.said.iter().map(decision).collect()
}

/// Something happens. Tells what, and what became of trying to deploy.
fn happen(world: &mut World, pinned: &PolicySet, dice: &mut Dice, subjects: &mut u8) -> (String, Attempt) {
    use PromotionState as S;
    let someone = dice.roll(PEOPLE);
    let other = dice.roll(PEOPLE);
    let rule = dice.roll(RULES.len());
    let team = ["x", "y", "z"][dice.roll(3)];
    let mut attempt = Attempt::Not;
    let what = match dice.roll(80) {
        0..=16 | 40.. if world.state == S::AwaitingApproval => {
            // Mostly what the use case writes down; now and then what nobody should have got past it.
            let (electorate, all) = (electorate(world), decisions(world));
            let last = standing(&all, &digest(world.agreed_subject));
            let mut rules: BTreeSet<usize> = match dice.roll(4) {
                0 => (0..RULES.len()).filter(|_| dice.roll(2) == 0).collect(),
                _ => {
                    let keys = electorate.rules_of(id(someone), pinned, &last);
                    (0..RULES.len()).filter(|at| keys.contains(&key(RULES[*at].0, RULES[*at].1))).collect()
                }
            };
            let seats = pinned.rules().filter_map(|(_, rule)| electorate.seat(id(someone), rule).ok());
            let in_own_name =
                if dice.roll(8) == 0 { dice.roll(2) == 0 } else { seats.into_iter().all(|seat| seat == id(someone)) };
            let verdict = match dice.roll(12) {
                0 => DecisionVerdict::RequestChanges,
                _ => DecisionVerdict::Approve,
            };
            if verdict != DecisionVerdict::Approve {
                rules.clear();
            }
            let subject = if dice.roll(12) == 0 { 0 } else { world.agreed_subject };
            world.said.push(Said { who: someone, verdict, rules, in_own_name, subject });
            format!("{:?}", world.said[world.said.len() - 1])
        }
        0..=5 => match dice.roll(5) {
            0..=2 => {
                world.gates = GatesStand::Passed;
                "the gates are green".to_owned()
            }
            3 => {
                world.gates = GatesStand::Held;
                "a gate is red".to_owned()
            }
            _ => {
                world.gates = GatesStand::Pending;
                "the gates are asked again".to_owned()
            }
        },
        6..=20 | 40.. => {
            attempt = if dice.often() { Attempt::Worked } else { Attempt::Failed };
            format!("deploying: {attempt:?}")
        }
        21 | 22 => {
            world.people[someone].approver ^= true;
            format!("{someone} is an approver: {}", world.people[someone].approver)
        }
        23 | 24 => {
            let teams = &mut world.people[someone].teams;
            let joined = teams.insert(team) || !teams.remove(team);
            format!("{someone} is in {team}: {joined}")
        }
        25..=27 => {
            world.stand_ins.push((someone, other));
            format!("{other} stands in for {someone}")
        }
        28 => {
            let gone =
                (!world.stand_ins.is_empty()).then(|| world.stand_ins.swap_remove(someone % world.stand_ins.len()));
            format!("a delegation is over: {gone:?}")
        }
        29 => {
            world.subject = if dice.roll(3) == 0 { world.agreed_subject } else { *subjects };
            *subjects += 1;
            format!("what it is about is {} now", world.subject)
        }
        30 => {
            let (wants, apart) = (&mut world.in_force.rules[rule], &mut world.in_force.apart);
            match dice.roll(6) {
                0 => wants.approvals += 1,
                1 => drop((wants.teams.len() > 1).then(|| wants.teams.remove(team))),
                2 => wants.not_requester = true,
                3 => wants.not_trainer = true,
                4 => *apart = true,
                _ => world.in_force.threshold += 1,
            }
            format!("stricter: {:?}", world.in_force)
        }
        31 => {
            let (wants, apart) = (&mut world.in_force.rules[rule], &mut world.in_force.apart);
            match dice.roll(6) {
                0 => wants.approvals = (wants.approvals - 1).max(1),
                1 => drop(wants.teams.insert(["xx", "yy", "zz"][rule])),
                2 => wants.not_requester = false,
                3 => wants.not_trainer = false,
                4 => *apart = false,
                _ => world.in_force.threshold -= 1,
            }
            format!("looser: {:?}", world.in_force)
        }
        32 | 33 => {
            world.overridden = Some(if dice.often() { world.agreed_subject } else { 0 });
            format!("overridden: {:?}", world.overridden)
        }
        34 => {
            world.expired = dice.roll(3) == 0;
            format!("expired: {}", world.expired)
        }
        35 | 36 => {
            world.frozen ^= true;
            format!("frozen: {}", world.frozen)
        }
        37 => {
            world.trainer = [None, Some(someone)][dice.roll(2)];
            format!("trained by {:?}", world.trainer)
        }
        38 => {
            world.people[someone].service = dice.roll(2) == 0;
            format!("{someone} is a service account: {}", world.people[someone].service)
        }
        _ => {
            world.exists = dice.roll(4) > 0;
            format!("exists: {}", world.exists)
        }
    };
    (what, attempt)
}

fn beginning(dice: &mut Dice) -> World {
    let teams = ["x", "y", "z"];
    let person = |dice: &mut Dice| Someone {
        approver: dice.roll(8) > 0,
        service: dice.roll(12) == 0,
        teams: teams.into_iter().filter(|_| dice.roll(2) == 0).collect(),
    };
    let wants = |dice: &mut Dice, at: usize| Wants {
        approvals: 1 + dice.roll(2),
        teams: BTreeSet::from([teams[at], ["xx", "yy", "zz"][at]]),
        not_requester: dice.often(),
        not_trainer: dice.roll(4) == 0,
    };
    let asked = Asked { rules: [0, 1, 2].map(|at| wants(dice, at)), apart: dice.roll(2) == 0, threshold: 0 };
    World {
        people: (0..PEOPLE).map(|_| person(dice)).collect(),
        stand_ins: (0..dice.roll(5)).map(|_| (dice.roll(PEOPLE), dice.roll(PEOPLE))).collect(),
        requester: dice.roll(PEOPLE),
        trainer: dice.often().then(|| dice.roll(PEOPLE)),
        pinned: asked.clone(),
        in_force: asked,
        subject: 1,
        agreed_subject: 1,
        gates: if dice.often() { GatesStand::Passed } else { GatesStand::Pending },
        overridden: None,
        exists: true,
        expired: false,
        frozen: dice.roll(4) == 0,
        said: Vec::new(),
        state: PromotionState::GatesRunning,
    }
}

/// Holds what Slipway makes of the world against what the model does, and goes on to where both say it stands.
fn agree(world: &mut World, tried: Attempt, pinned: &PolicySet, told: &[String]) -> Result<(), String> {
    let all = decisions(world);
    let last = standing(&all, &digest(world.agreed_subject));
    let electorate = electorate(world);
    let standings = electorate.standings(pinned, &last);
    let mut met = true;
    for (rule, one) in standings.iter().enumerate() {
        // Which of several votes a place is, is not said; that it can be one, is.
        let filled: BTreeSet<usize> =
            one.votes.iter().map(|vote| who(vote.acting_for.unwrap_or(vote.user_id))).collect();
        let voters: BTreeSet<usize> = one.votes.iter().map(|vote| who(vote.user_id)).collect();
        let sound = one.votes.iter().all(|vote| {
            model::can_be_for(world, who(vote.user_id), who(vote.acting_for.unwrap_or(vote.user_id)), rule)
        });
        let first = &standings[0].votes;
        let elsewhere: BTreeSet<usize> = match rule == 1 && world.pinned.apart {
            true => first.iter().flat_map(|vote| [Some(vote.user_id), vote.acting_for]).flatten().map(who).collect(),
            false => BTreeSet::new(),
        };
        let counted = model::counted(world, rule, &elsewhere);
        if !sound
            || filled.len() != one.votes.len()
            || voters != counted
            || !elsewhere.is_disjoint(&voters)
            || !elsewhere.is_disjoint(&filled)
            || one.met != (counted.len() >= world.pinned.rules[rule].approvals)
        {
            return Err(format!("{}: {:?}, and by the model {counted:?}", one.key(), one.votes));
        }
        met &= one.met;
    }
    let satisfied = electorate.satisfied(&standings, &last);
    if satisfied != (met && !model::held_up(world)) {
        return Err(format!("satisfied: {satisfied}, and by the model held up: {}", model::held_up(world)));
    }
    let overridden = world.overridden == Some(world.agreed_subject);
    let verdict = match world.gates {
        GatesStand::Pending => Verdict::Pending,
        GatesStand::Held => Verdict::Fail,
        GatesStand::Passed => Verdict::Pass,
    };
    let as_strict = world.pinned == world.in_force || stricter(pinned, &policies(&world.in_force)).is_empty();
    let holds = world.subject == world.agreed_subject && as_strict;
    let mut facts = Facts {
        expired: world.expired,
        exists: world.exists,
        holds,
        gates: together([Verdict::Pass, verdict], overridden),
        satisfied,
        due: !world.frozen,
        attempt: tried,
    };
    let expected = model::settles(world, met, tried);
    let mut state = world.state;
    while let Some(to) = advance(state, &facts) {
        if !state.next().contains(&to) {
            return Err(format!("{state:?} → {to:?} is in no table"));
        }
        if state.is_under_way() {
            facts.attempt = Attempt::Not;
        }
        state = to;
    }
    if state != expected {
        return Err(format!("{state:?}, and by the model {expected:?}; {facts:?}"));
    }
    if state == PromotionState::Live && world.state != state {
        let all_of_it = model::holds(world) && model::gates_pass(world) && met && !model::held_up(world);
        if !all_of_it || world.frozen || !world.exists {
            return Err(format!("live without all of it, after {} events", told.len()));
        }
    }
    world.state = state;
    Ok(())
}

/// Runs one history; tells how it ended.
fn history(seed: u64) -> PromotionState {
    let mut dice = Dice(seed);
    let mut world = beginning(&mut dice);
    let (mut told, mut subjects) = (vec![format!("{world:?}")], 2);
    let pinned = policies(&world.pinned);
    let mut attempt = Attempt::Not;
    for _ in 0..EVENTS {
        if let Err(disagreement) = agree(&mut world, attempt, &pinned, &told) {
            panic!("history {seed}: {disagreement}\n{}\nnow: {world:?}", told.join("\n"));
        }
        if !world.state.is_open() {
            break;
        }
        let what;
        (what, attempt) = happen(&mut world, &pinned, &mut dice, &mut subjects);
        told.push(what);
    }
    world.state
}

#[test]
fn random_histories_go_as_a_tiny_model_of_them_says() {
    let mut ends: BTreeMap<PromotionState, usize> = BTreeMap::new();
    thread::scope(|scope| {
        let parts: Vec<_> = (0..4_u64)
            .map(|part| scope.spawn(move || (part..HISTORIES).step_by(4).map(history).collect::<Vec<_>>()))
            .collect();
        for end in parts.into_iter().flat_map(|part| part.join().unwrap()) {
            *ends.entry(end).or_default() += 1;
        }
    });
    // Histories that all end alike would show nothing.
    for state in [PromotionState::Live, PromotionState::Invalidated, PromotionState::Expired, PromotionState::Aborted] {
        assert!(ends.get(&state).is_some_and(|count| *count > 300), "{ends:?}");
    }
}
