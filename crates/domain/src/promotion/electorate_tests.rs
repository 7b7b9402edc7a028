//! Who counts for which rule: one table of rules and people, and one of votes.

use super::*;
use crate::{
    digest::Digest,
    id::{DecisionId, PolicyId, WorkspaceId},
    permission::Role,
    policy::{Eligible, Policy, PolicyDocument},
    promotion::standing as last_on,
    user::{Email, User},
};
use chrono::DateTime;
use uuid::Uuid;

/// Everybody, with roles and teams. `requester`, `starter`, `trainer`, `author` and `evaluator` had a part in the
/// version; `outsider` is no member.
const CAST: [(&str, &[Role], &[&str]); 15] = [
    ("requester", &[Role::Approver], &["risk"]),
    ("starter", &[Role::Approver], &["risk"]),
    ("trainer", &[Role::Approver], &["risk"]),
    ("author", &[Role::Approver], &["risk"]),
    ("evaluator", &[Role::Approver], &["risk"]),
    ("robot", &[Role::Approver], &["risk"]),
    ("ann", &[Role::Approver], &["risk"]),
    ("bob", &[Role::Approver], &["risk", "legal"]),
    ("cat", &[Role::Approver], &["legal"]),
    ("dan", &[Role::Approver], &[]),
    ("eli", &[Role::Approver], &[]),
    ("boss", &[Role::Approver, Role::Operator], &[]),
    ("guest", &[], &["risk"]),
    ("admin", &[Role::Admin, Role::Operator], &["risk"]),
    ("helper", &[Role::Approver], &[]),
];

fn id(name: &str) -> UserId {
    let at = CAST.iter().position(|(who, ..)| *who == name).map_or(99, |at| at as u128);
    UserId(Uuid::from_u128(at + 1))
}

fn name(id: UserId) -> &'static str {
    CAST.iter().map(|(who, ..)| *who).find(|who| self::id(who) == id).unwrap()
}

fn email(name: &str) -> Email {
    Email::parse(&format!("{name}@example.com")).unwrap()
}

fn person((name, roles, teams): (&str, &[Role], &[&str])) -> Person {
    let user = User {
        id: id(name),
        email: email(name),
        name: name.to_owned(),
        is_service: name == "robot",
        created_at: DateTime::UNIX_EPOCH,
    };
    Person {
        member: Member {
            user,
            roles: roles.iter().copied().collect(),
            since: DateTime::UNIX_EPOCH,
            last_seen_at: None,
        },
        teams: teams.iter().map(|team| (*team).to_owned()).collect(),
    }
}

/// `ann>dan bob>dan`: dan stands in for ann and for bob. The lineage is known but for what `unknown` names.
fn electorate(delegations: &str, unknown: &str) -> Electorate {
    let known = |part: &str, names: &[&str]| {
        (!unknown.split(' ').any(|one| one == part)).then(|| names.iter().map(|name| id(name)).collect())
    };
    let stand_in = |text: &str| {
        let (from, to) = text.split_once('>').unwrap();
        StandIn { from: id(from), to: id(to) }
    };
    Electorate {
        people: CAST.into_iter().map(person).collect(),
        stand_ins: delegations.split_whitespace().map(stand_in).collect(),
        lineage: Lineage {
            requesters: BTreeSet::from([id("requester"), id("starter")]),
            trainers: known("trainer", &["trainer"]),
            code_authors: known("code_author", &["author"]),
            evaluators: known("evaluator", &["evaluator"]),
        },
    }
}

/// `a 2 team:risk user:ann - trainer rule:b`: rule a asks for two of those, distinct from those.
fn rule(text: &str) -> Rule {
    let (who, distinct) = text.split_once('-').unwrap_or((text, ""));
    let mut words = who.split_whitespace();
    let name = words.next().unwrap().to_owned();
    let approvals = words.next().unwrap().parse().unwrap();
    let mut eligible = Eligible::default();
    for word in words {
        let (sort, what) = word.split_once(':').unwrap();
        match sort {
            "user" => _ = eligible.users.insert(email(what)),
            "team" => _ = eligible.teams.insert(what.to_owned()),
            _ => _ = eligible.roles.insert(Role::ALL.into_iter().find(|role| role.as_str() == what).unwrap()),
        }
    }
    Rule {
        name,
        eligible,
        approvals,
        distinct_from: distinct.split_whitespace().map(|one| one.parse().unwrap()).collect(),
        ..Rule::of_approvers(1)
    }
}

/// Where a row differs from: everybody is known, nobody stands in for anybody.
const KNOWN: &str = "";
const ALONE: &str = "";

#[test]
fn who_has_a_place_in_which_rule_and_why_others_have_none() {
    const RISK: &str = "r 1 team:risk";
    // rule, person, what of the lineage is not known, delegations, expected: the place, or why there is none.
    let rows: &[(&str, &str, &str, &str, &str)] = &[
        // Named by team, address, role, several, none of it; and who is no person, may not decide or is no member.
        (RISK, "ann", KNOWN, ALONE, "ann"),
        (RISK, "dan", KNOWN, ALONE, "NotEligible"),
        ("r 1 user:dan", "dan", KNOWN, ALONE, "dan"),
        ("r 1 user:dan", "ann", KNOWN, ALONE, "NotEligible"),
        ("r 1 role:operator", "boss", KNOWN, ALONE, "boss"),
        ("r 1 role:operator", "ann", KNOWN, ALONE, "NotEligible"),
        ("r 1 team:risk user:ann role:approver", "ann", KNOWN, ALONE, "ann"),
        ("r 1 team:other user:dan role:operator", "dan", KNOWN, ALONE, "dan"),
        ("r 1 team:other", "ann", KNOWN, ALONE, "NotEligible"),
        (RISK, "robot", KNOWN, ALONE, "Service"),
        ("r 1 user:robot", "robot", KNOWN, ALONE, "Service"),
        ("r 1 team:legal", "robot", KNOWN, ALONE, "Service"),
        (RISK, "guest", KNOWN, ALONE, "MayNotDecide"),
        ("r 1 role:operator", "admin", KNOWN, ALONE, "admin"),
        (RISK, "outsider", KNOWN, ALONE, "NotEligible"),
        // Distinct from the requester, and from whoever started the pipeline run that requested.
        ("r 1 team:risk - requester", "requester", KNOWN, ALONE, "Requester"),
        ("r 1 team:risk - requester", "starter", KNOWN, ALONE, "Requester"),
        ("r 1 team:risk - requester", "trainer", KNOWN, ALONE, "trainer"),
        (RISK, "requester", KNOWN, ALONE, "requester"),
        (RISK, "starter", KNOWN, ALONE, "starter"),
        ("r 1 team:legal - requester", "requester", KNOWN, ALONE, "Requester"),
        // Distinct from whoever trained.
        ("r 1 team:risk - trainer", "trainer", KNOWN, ALONE, "Trainer"),
        ("r 1 team:risk - trainer", "ann", KNOWN, ALONE, "ann"),
        ("r 1 team:risk - trainer", "requester", KNOWN, ALONE, "requester"),
        ("r 1 team:risk - trainer", "ann", "trainer", ALONE, "Unknown(Trainer)"),
        ("r 1 team:risk - trainer", "trainer", "trainer", ALONE, "Unknown(Trainer)"),
        ("r 1 team:risk - trainer", "ann", "code_author evaluator", ALONE, "ann"),
        ("r 1 team:legal - trainer", "trainer", KNOWN, ALONE, "Trainer"),
        (RISK, "trainer", KNOWN, ALONE, "trainer"),
        (RISK, "ann", "trainer code_author evaluator", ALONE, "ann"),
        // Distinct from whoever wrote the code.
        ("r 1 team:risk - code_author", "author", KNOWN, ALONE, "CodeAuthor"),
        ("r 1 team:risk - code_author", "trainer", KNOWN, ALONE, "trainer"),
        ("r 1 team:risk - code_author", "ann", "code_author", ALONE, "Unknown(CodeAuthor)"),
        ("r 1 team:risk - code_author", "ann", "trainer evaluator", ALONE, "ann"),
        (RISK, "author", KNOWN, ALONE, "author"),
        // Distinct from whoever evaluated.
        ("r 1 team:risk - evaluator", "evaluator", KNOWN, ALONE, "Evaluator"),
        ("r 1 team:risk - evaluator", "author", KNOWN, ALONE, "author"),
        ("r 1 team:risk - evaluator", "ann", "evaluator", ALONE, "Unknown(Evaluator)"),
        (RISK, "evaluator", KNOWN, ALONE, "evaluator"),
        // Distinct from several; one that is not known is enough.
        ("r 1 team:risk - requester trainer code_author evaluator", "ann", KNOWN, ALONE, "ann"),
        ("r 1 team:risk - requester trainer code_author evaluator", "evaluator", KNOWN, ALONE, "Evaluator"),
        ("r 1 team:risk - requester trainer code_author evaluator", "author", KNOWN, ALONE, "CodeAuthor"),
        ("r 1 team:risk - requester trainer code_author evaluator", "ann", "evaluator", ALONE, "Unknown(Evaluator)"),
        // Of another rule it says nothing who might vote: that is told by who did.
        ("r 1 team:risk - rule:other", "ann", KNOWN, ALONE, "ann"),
        // Whoever stands in fills the place of whoever is away.
        (RISK, "dan", KNOWN, "ann>dan", "ann"),
        (RISK, "dan", KNOWN, "dan>ann", "NotEligible"),
        (RISK, "ann", KNOWN, "bob>ann", "ann"),
        (RISK, "dan", KNOWN, "ann>dan bob>dan", "ann"),
        (RISK, "dan", KNOWN, "bob>dan ann>dan", "ann"),
        (RISK, "dan", KNOWN, "cat>dan bob>dan", "bob"),
        ("r 1 role:operator", "dan", KNOWN, "boss>dan", "boss"),
        ("r 1 user:ann", "dan", KNOWN, "ann>dan", "ann"),
        // Nobody stands in for somebody who could not vote.
        (RISK, "dan", KNOWN, "cat>dan", "NotEligible"),
        (RISK, "dan", KNOWN, "guest>dan", "NotEligible"),
        (RISK, "dan", KNOWN, "robot>dan", "NotEligible"),
        (RISK, "dan", KNOWN, "outsider>dan", "NotEligible"),
        ("r 1 role:operator", "dan", KNOWN, "admin>dan", "admin"),
        ("r 1 team:risk - requester", "dan", KNOWN, "requester>dan", "NotEligible"),
        ("r 1 team:risk - requester", "dan", KNOWN, "starter>dan", "NotEligible"),
        ("r 1 team:risk - trainer", "dan", KNOWN, "trainer>dan", "NotEligible"),
        ("r 1 team:risk - trainer", "dan", KNOWN, "trainer>dan bob>dan", "bob"),
        ("r 1 team:risk - code_author", "dan", KNOWN, "author>dan", "NotEligible"),
        ("r 1 team:risk - evaluator", "dan", KNOWN, "evaluator>dan", "NotEligible"),
        ("r 1 team:risk - trainer", "dan", "trainer", "ann>dan", "Unknown(Trainer)"),
        // Nor does somebody who could not vote stand in.
        ("r 1 user:ann - requester", "requester", KNOWN, "ann>requester", "Requester"),
        ("r 1 user:ann - requester", "starter", KNOWN, "ann>starter", "Requester"),
        ("r 1 user:ann", "requester", KNOWN, "ann>requester", "Requester"),
        ("r 1 user:ann", "starter", KNOWN, "ann>starter", "Requester"),
        ("r 1 user:ann", "requester", KNOWN, ALONE, "NotEligible"),
        ("r 1 user:ann - trainer", "trainer", KNOWN, "ann>trainer", "Trainer"),
        ("r 1 user:ann", "trainer", KNOWN, "ann>trainer", "ann"),
        ("r 1 user:ann - code_author", "author", KNOWN, "ann>author", "CodeAuthor"),
        ("r 1 user:ann", "author", KNOWN, "ann>author", "ann"),
        ("r 1 user:ann - evaluator", "evaluator", KNOWN, "ann>evaluator", "Evaluator"),
        ("r 1 user:ann", "evaluator", KNOWN, "ann>evaluator", "ann"),
        ("r 1 user:ann", "robot", KNOWN, "ann>robot", "Service"),
        ("r 1 user:ann", "guest", KNOWN, "ann>guest", "MayNotDecide"),
        ("r 1 user:ann", "admin", KNOWN, "ann>admin", "ann"),
        ("r 1 user:ann", "outsider", KNOWN, "ann>outsider", "NotEligible"),
        // What was given is not given on, and a circle gives nothing.
        (RISK, "eli", KNOWN, "ann>dan dan>eli", "NotEligible"),
        (RISK, "dan", KNOWN, "ann>dan dan>eli", "ann"),
        (RISK, "dan", KNOWN, "dan>eli eli>dan", "NotEligible"),
        (RISK, "dan", KNOWN, "dan>dan", "NotEligible"),
        ("r 1 team:risk - trainer", "dan", KNOWN, "bob>trainer trainer>dan", "NotEligible"),
    ];
    for (text, who, unknown, delegations, expected) in rows {
        let electorate = electorate(delegations, unknown);
        let found = match electorate.seat(id(who), &rule(text)) {
            Ok(seat) => name(seat).to_owned(),
            Err(bar) => format!("{bar:?}"),
        };
        assert_eq!(found, *expected, "{who} in {text:?}, unknown: {unknown:?}, delegations: {delegations:?}");
    }
}

fn policy(name: &str, rules: &[&str]) -> Policy {
    let document = PolicyDocument { rules: rules.iter().map(|text| rule(text)).collect(), ..PolicyDocument::default() };
    assert_eq!(document.validate(), Ok(()), "{rules:?}");
    Policy {
        id: PolicyId::new(),
        workspace_id: WorkspaceId::new(),
        name: name.to_owned(),
        revision: 1,
        digest: Digest::of_json(&document).unwrap(),
        document,
        source: None,
        retired: false,
        created_at: DateTime::UNIX_EPOCH,
        created_by: String::new(),
    }
}

fn subject(number: u8) -> Digest {
    Digest::blake3([number; 32])
}

/// `ann yes p/a p/b`, `ann no`, `ann changes`, `dan for:ann yes p/a`; `old` before all of it: on another digest.
fn decision(text: &str) -> Decision {
    let (old, text) = text.strip_prefix("old ").map_or((false, text), |rest| (true, rest));
    let mut words = text.split_whitespace();
    let who = words.next().unwrap();
    let (mut acting_for, mut verdict, mut rules) = (None, DecisionVerdict::Approve, Vec::new());
    for word in words {
        match word {
            "yes" => {}
            "no" => verdict = DecisionVerdict::Reject,
            "changes" => verdict = DecisionVerdict::RequestChanges,
            _ => match word.strip_prefix("for:") {
                Some(away) => acting_for = Some(id(away)),
                None => rules.push(word.to_owned()),
            },
        }
    }
    Decision {
        id: DecisionId::new(),
        user_id: id(who),
        user_name: who.to_owned(),
        verdict,
        comment: String::new(),
        subject_digest: subject(if old { 1 } else { 2 }),
        acting_for: acting_for.map(|away| rules.iter().map(|rule: &String| (rule.clone(), away)).collect()),
        rules,
        inputs: BTreeMap::new(),
        checked: BTreeMap::new(),
        reauthenticated: false,
        at: DateTime::UNIX_EPOCH,
    }
}

/// `a: ann dan/bob, b:`: whose votes count for which rule, dan's for bob. Ends in `ok` when all is satisfied.
fn count(electorate: &Electorate, policies: &PolicySet, decisions: &[&str]) -> String {
    let all: Vec<Decision> = decisions.iter().map(|text| decision(text)).collect();
    let last = last_on(&all, &subject(2));
    let standings = electorate.standings(policies, &last);
    let vote = |vote: &Vote| match vote.acting_for {
        Some(away) => format!(" {}/{}", name(vote.user_id), name(away)),
        None => format!(" {}", name(vote.user_id)),
    };
    let mut told: Vec<String> = standings
        .iter()
        .map(|one| {
            format!(
                "{}:{}{}",
                one.key(),
                one.votes.iter().map(vote).collect::<String>(),
                if one.met { "!" } else { "" }
            )
        })
        .collect();
    if electorate.satisfied(&standings, &last) {
        told.push("ok".to_owned());
    }
    told.join(", ")
}

#[test]
fn which_votes_count_for_which_rule() {
    const ONE: &[&str] = &["a 1 team:risk - requester"];
    const TWO: &[&str] = &["a 2 team:risk - requester"];
    const APART: &[&str] = &["a 1 team:risk - rule:b", "b 1 team:risk team:legal"];
    const TURNED: &[&str] = &["a 1 team:risk", "b 1 team:risk team:legal - rule:a"];
    let rows: &[(&[&str], &str, &[&str], &str)] = &[
        // One person, one vote.
        (ONE, ALONE, &[], "p/a:"),
        (ONE, ALONE, &["ann yes p/a"], "p/a: ann!, ok"),
        (TWO, ALONE, &["ann yes p/a"], "p/a: ann"),
        (TWO, ALONE, &["ann yes p/a", "ann yes p/a"], "p/a: ann"),
        (TWO, ALONE, &["ann yes p/a p/a"], "p/a: ann"),
        (TWO, ALONE, &["ann yes p/a", "bob yes p/a"], "p/a: ann bob!, ok"),
        (TWO, ALONE, &["ann yes p/a", "bob yes p/a", "trainer yes p/a"], "p/a: ann bob trainer!, ok"),
        // Who does not count is not counted, whatever was written down.
        (
            ONE,
            ALONE,
            &["requester yes p/a", "robot yes p/a", "guest yes p/a", "dan yes p/a", "outsider yes p/a"],
            "p/a:",
        ),
        // A decision counts for what it names, and for nothing else.
        (ONE, ALONE, &["ann yes"], "p/a:"),
        (ONE, ALONE, &["ann yes q/a", "bob yes a", "trainer yes p"], "p/a:"),
        (&["a 1 team:risk", "b 1 team:risk"], ALONE, &["bob yes p/b"], "p/a:, p/b: bob!"),
        (&["a 1 team:risk", "b 1 team:risk"], ALONE, &["bob yes p/a p/b"], "p/a: bob!, p/b: bob!, ok"),
        // The last decision of a person counts, on this digest.
        (ONE, ALONE, &["old ann yes p/a"], "p/a:"),
        (ONE, ALONE, &["ann yes p/a", "old ann changes"], "p/a: ann!, ok"),
        (ONE, ALONE, &["old ann changes", "ann yes p/a"], "p/a: ann!, ok"),
        (ONE, ALONE, &["ann changes", "ann yes p/a"], "p/a: ann!, ok"),
        (ONE, ALONE, &["ann yes p/a", "ann changes"], "p/a:"),
        (ONE, ALONE, &["ann yes p/a", "ann no"], "p/a:"),
        // A request for changes holds all up, as long as whoever made it may decide.
        (ONE, ALONE, &["ann yes p/a", "bob changes"], "p/a: ann!"),
        (ONE, ALONE, &["bob changes", "ann yes p/a", "bob yes p/a"], "p/a: ann bob!, ok"),
        (ONE, ALONE, &["ann yes p/a", "bob no"], "p/a: ann!"),
        (
            ONE,
            ALONE,
            &["ann yes p/a", "dan changes", "guest changes", "requester changes", "robot no"],
            "p/a: ann!, ok",
        ),
        (ONE, "bob>dan", &["ann yes p/a", "dan changes"], "p/a: ann!"),
        (
            &["a 1 team:risk", "b 1 team:legal"],
            ALONE,
            &["ann yes p/a", "bob yes p/b", "cat changes"],
            "p/a: ann!, p/b: bob!",
        ),
        // Standing in: the place counts once, whoever fills it.
        (ONE, "ann>dan", &["dan for:ann yes p/a"], "p/a: dan/ann!, ok"),
        (TWO, "ann>dan", &["dan for:ann yes p/a", "ann yes p/a"], "p/a: ann"),
        (TWO, "ann>dan", &["ann yes p/a", "dan for:ann yes p/a"], "p/a: ann"),
        (TWO, "ann>dan ann>eli", &["dan for:ann yes p/a", "eli for:ann yes p/a"], "p/a: dan/ann"),
        (TWO, "ann>dan bob>dan", &["dan for:ann yes p/a"], "p/a: dan/ann"),
        (TWO, "ann>dan bob>dan", &["dan for:ann yes p/a", "ann yes p/a"], "p/a: dan/bob ann!, ok"),
        (TWO, "ann>dan bob>dan", &["dan for:ann yes p/a", "bob yes p/a"], "p/a: dan/ann bob!, ok"),
        (TWO, "ann>dan bob>dan", &["dan for:ann yes p/a", "bob yes p/a", "ann yes p/a"], "p/a: bob ann!, ok"),
        (TWO, "ann>dan bob>dan ann>eli", &["dan for:ann yes p/a", "eli for:ann yes p/a"], "p/a: dan/bob eli/ann!, ok"),
        (TWO, "ann>bob", &["bob yes p/a"], "p/a: bob"),
        (TWO, "ann>dan dan>eli", &["eli for:dan yes p/a", "dan for:ann yes p/a"], "p/a: dan/ann"),
        // What somebody said in their own name does not become somebody else's, nor the other way round.
        (ONE, "ann>dan", &["dan yes p/a"], "p/a:"),
        (ONE, ALONE, &["ann for:bob yes p/a"], "p/a: ann!, ok"),
        (ONE, ALONE, &["dan for:ann yes p/a"], "p/a:"),
        // Rules that must have different people, whichever of them says so.
        (APART, ALONE, &["ann yes p/a", "bob yes p/b"], "p/a: ann!, p/b: bob!, ok"),
        (TURNED, ALONE, &["ann yes p/a", "bob yes p/b"], "p/a: ann!, p/b: bob!, ok"),
        (APART, ALONE, &["bob yes p/a p/b"], "p/a: bob!, p/b:"),
        (TURNED, ALONE, &["bob yes p/a p/b"], "p/a: bob!, p/b:"),
        (APART, ALONE, &["bob yes p/b", "ann yes p/a"], "p/a: ann!, p/b: bob!, ok"),
        (APART, ALONE, &["ann yes p/a", "bob yes p/a p/b", "cat yes p/b"], "p/a: ann bob!, p/b: cat!, ok"),
        // Nor may the same place count in both.
        (APART, "ann>dan", &["ann yes p/a", "dan for:ann yes p/b"], "p/a: ann!, p/b:"),
        (APART, "ann>dan", &["dan for:ann yes p/a", "ann yes p/b"], "p/a: dan/ann!, p/b:"),
        (APART, "ann>dan ann>eli", &["dan for:ann yes p/a", "eli for:ann yes p/b"], "p/a: dan/ann!, p/b:"),
        (APART, "ann>dan bob>dan", &["ann yes p/a", "dan for:ann yes p/b"], "p/a: ann!, p/b: dan/bob!, ok"),
        (APART, "ann>dan cat>dan", &["dan for:ann yes p/a p/b"], "p/a: dan/ann!, p/b:"),
    ];
    for (rules, delegations, decisions, expected) in rows {
        let policies = PolicySet::pinned([policy("p", rules)]);
        let found = count(&electorate(delegations, KNOWN), &policies, decisions);
        assert_eq!(found, *expected, "{rules:?}, delegations {delegations:?}: {decisions:?}");
    }
}

#[test]
fn rules_of_one_name_in_two_policies_are_two_rules() {
    let policies = PolicySet::pinned([
        policy("q", &["a 1 team:risk", "b 1 team:risk"]),
        policy("p", &["a 1 team:risk - rule:b", "b 1 team:risk"]),
    ]);
    let all = electorate(ALONE, KNOWN);
    assert_eq!(count(&all, &policies, &["ann yes p/a"]), "p/a: ann!, p/b:, q/a:, q/b:");
    // Only within p must they be different people.
    let decisions = ["ann yes p/a q/a q/b", "bob yes p/b q/a"];
    assert_eq!(count(&all, &policies, &decisions), "p/a: ann!, p/b: bob!, q/a: ann bob!, q/b: ann!, ok");
}

#[test]
fn a_vote_falls_away_with_what_it_stood_on() {
    let policies = PolicySet::pinned([policy("p", &["a 1 team:risk role:operator - trainer"])]);
    let votes = ["ann yes p/a"];
    type Change = fn(&mut Electorate);
    let ann = |all: &mut Electorate| all.people.iter().position(|person| person.member.user.name == "ann").unwrap();
    assert_eq!(ann(&mut electorate(ALONE, KNOWN)), 6);
    let changes: [(&str, Change); 6] = [
        ("left the team", |all| all.people[6].teams.clear()),
        ("may decide no more", |all| all.people[6].member.roles = BTreeSet::new()),
        ("left the workspace", |all| drop(all.people.remove(6))),
        ("became a service account", |all| all.people[6].member.user.is_service = true),
        ("turned out to have trained it", |all| all.lineage.trainers = Some(BTreeSet::from([id("ann")]))),
        ("who trained it is not known any more", |all| all.lineage.trainers = None),
    ];
    for (words, change) in changes {
        let mut all = electorate("bob>ann", KNOWN);
        assert_eq!(count(&all, &policies, &votes), "p/a: ann!, ok");
        change(&mut all);
        assert_eq!(count(&all, &policies, &votes), "p/a:", "{words}");
    }
    let mut all = electorate(ALONE, KNOWN);
    all.people[6].teams.clear();
    all.people[6].member.roles.insert(Role::Operator);
    assert_eq!(count(&all, &policies, &votes), "p/a: ann!, ok", "named another way now");
    // Whoever asked for changes and may decide no more holds nothing up.
    let votes = ["bob yes p/a", "ann changes"];
    let mut all = electorate(ALONE, KNOWN);
    assert_eq!(count(&all, &policies, &votes), "p/a: bob!");
    all.people[6].teams.clear();
    assert_eq!(count(&all, &policies, &votes), "p/a: bob!, ok");
    // A delegation that is over takes the vote with it, and so does whoever is away and counts no more.
    let votes = ["dan for:ann yes p/a"];
    let mut all = electorate("ann>dan", KNOWN);
    assert_eq!(count(&all, &policies, &votes), "p/a: dan/ann!, ok");
    all.people[6].teams.clear();
    assert_eq!(count(&all, &policies, &votes), "p/a:");
    assert_eq!(count(&electorate(ALONE, KNOWN), &policies, &votes), "p/a:");
}

#[test]
fn a_yes_that_names_no_rule_counts_where_it_is_needed() {
    let apart: &[&str] = &["a 1 team:risk - rule:b", "b 1 team:risk team:legal", "c 1 role:approver"];
    for (delegations, who, decided, expected) in [
        (ALONE, "ann", &[][..], "p/a p/c"),
        (ALONE, "cat", &[], "p/b p/c"),
        (ALONE, "dan", &[], "p/c"),
        (ALONE, "guest", &[], ""),
        (ALONE, "outsider", &[], ""),
        // Of two that must have different people, the one that still needs somebody.
        (ALONE, "bob", &["ann yes p/a"], "p/b p/c"),
        (ALONE, "bob", &["ann yes p/b"], "p/a p/c"),
        (ALONE, "trainer", &["ann yes p/a", "bob yes p/b"], "p/a p/c"),
        (ALONE, "bob", &["bob changes", "ann yes p/a"], "p/b p/c"),
        // Where the place is taken elsewhere, a vote would not count.
        ("ann>dan", "dan", &["ann yes p/a"], "p/c"),
        ("ann>dan bob>dan", "dan", &["ann yes p/a"], "p/b p/c"),
        ("ann>dan cat>dan", "dan", &["ann yes p/a"], "p/b p/c"),
    ] {
        let policies = PolicySet::pinned([policy("p", apart)]);
        let all: Vec<Decision> = decided.iter().map(|text| decision(text)).collect();
        let found = electorate(delegations, KNOWN).rules_of(id(who), &policies, &last_on(&all, &subject(2)));
        assert_eq!(found.join(" "), expected, "{who} after {decided:?}, delegations {delegations:?}");
    }
}

#[test]
fn everybody_is_told_whether_they_can_still_count_and_why_not() {
    let policies = PolicySet::pinned([policy("p", &["a 2 team:risk - requester trainer rule:b", "b 1 team:legal"])]);
    let all: Vec<Decision> = ["ann yes p/a", "bob yes p/b"].iter().map(|text| decision(text)).collect();
    let standings =
        electorate("ann>dan bob>eli author>helper", KNOWN).standings(&policies, &last_on(&all, &subject(2)));
    let told = |rule: usize| -> Vec<String> {
        let one = |person: &Candidacy| {
            let acting = person.acting_for.as_ref().map_or_else(String::new, |away| format!(" for {away}"));
            format!("{}{acting}: {}", person.name, person.barred.as_deref().unwrap_or("can"))
        };
        standings[rule].people.iter().map(one).collect()
    };
    assert_eq!(
        told(0),
        [
            "requester: Requested this, or started the pipeline run that did.",
            "starter: Requested this, or started the pipeline run that did.",
            "trainer: Started the run that trained this version.",
            "author: can",
            "evaluator: can",
            "robot: A service account never counts as a person who decides.",
            "ann: can",
            "bob: Counts for rule \"b\", which must have other people.",
            "dan: Stands in for ann, whose vote counts already.",
            "eli: Stands in for bob, whose vote counts already.",
            "guest: Has no role that lets them decide; an approver may.",
            "admin: can",
            "helper for author: can",
        ]
    );
    assert_eq!(told(1), ["bob: can", "cat: can", "eli: Stands in for bob, whose vote counts already."]);
}
