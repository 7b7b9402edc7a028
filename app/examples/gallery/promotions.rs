//! Promotions and policies, with the example values of `app::samples`.

use crate::{chrome, page};
use app::{
    pages::{policy, promotion},
    samples::promotions as p,
    shell::Section,
    ui::prelude::*,
};
use domain::{
    Error,
    policy::PolicyDocument,
    promotion::{PromotionStatistics, ReplayState},
};
use leptos::prelude::*;
use std::{io, path::Path};

fn links() -> Links {
    Links::new("wine-lab")
}

fn at(path: &str, pairs: &[(&str, &str)]) -> Address {
    Address::new(links().to(path), pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())))
}

pub(crate) fn write(out: &Path) -> io::Result<()> {
    promotions(out)?;
    policies(out)
}

fn promotions(out: &Path) -> io::Result<()> {
    let section = Some(Section::Promotions);
    let one = |name: &str, sample: promotion::PromotionPage, draft: Draft| {
        page(out, name, chrome("wine-quality-classifier v14 → production", section), move || {
            view! { <promotion::Detail links=links() page=sample draft/> }
        })
    };
    one("promotion", p::awaiting(), Draft::default())?;
    let typed = [
        ("do", "decide"),
        ("verdict", "approve"),
        ("comment", "The slice is small, and the monitor rolls back by itself."),
        ("check/production/product", "I looked at the slices with few rows"),
        ("input/production/product/ticket", "WINE-411"),
    ];
    let wrong = Error::invalid_field("password", "That is not your password. Your comment is kept.");
    one("promotion-refused", p::awaiting(), Draft::of(typed).refused(&wrong))?;
    one("promotion-blocked", p::blocked(), Draft::default())?;
    one("promotion-replaying", p::not_replayed(ReplayState::Waiting), Draft::default())?;
    one("promotion-nothing-replayed", p::not_replayed(ReplayState::Nothing), Draft::default())?;
    one("promotion-replay-failed", p::not_replayed(ReplayState::Failed), Draft::default())?;
    one("promotion-override", p::overridden(false), Draft::default())?;
    one("promotion-overridden", p::overridden(true), Draft::default())?;
    one("promotion-live", p::live(), Draft::default())?;
    one("promotion-ended", p::ended(), Draft::default())?;
    one("promotion-draft", p::draft(), Draft::default())?;
    let list = |name: &str, sample: promotion::ListPage, pairs: &'static [(&str, &str)]| {
        page(out, name, chrome("Promotions", section), move || {
            view! { <promotion::List links=links() address=at("promotions", pairs) page=sample/> }
        })
    };
    list("promotions", p::list(), &[("state", "all")])?;
    let mut nothing = p::list();
    nothing.rows.clear();
    nothing.mine = 0;
    list("promotions-empty", nothing, &[("state", "mine")])?;
    let statistics = |name: &str, sample: PromotionStatistics| {
        page(out, name, chrome("Statistics of promotions", section), move || {
            let address = at("promotions/statistics", &[]);
            view! { <promotion::Statistics links=links() address days=90 statistics=sample/> }
        })
    };
    statistics("promotion-statistics", p::statistics())?;
    let nothing = PromotionStatistics { promotions: 0, environments: Vec::new(), ..p::statistics() };
    statistics("promotion-statistics-empty", nothing)
}

fn policies(out: &Path) -> io::Result<()> {
    let section = Some(Section::Policies);
    page(out, "policies", chrome("Policies", section), || {
        view! { <policy::Policies links=links() address=at("policies", &[]) policies=p::policies() may_write=true/> }
    })?;
    page(
        out,
        "policy",
        chrome("production", section),
        || view! { <policy::One links=links() page=p::policy_page()/> },
    )?;
    page(out, "policy-edit", chrome("Edit production", section), || {
        let source =
            p::FILE.replace("    metric: accuracy\n    threshold: 0.7\n", "    metric: accuracy\n    treshold: 0.7\n");
        let problems = PolicyDocument::parse(&source).map(|_| Vec::new()).unwrap_or_else(|errors| errors.0);
        view! {
            <policy::Edit
                links=links()
                name=Some("production".to_owned())
                seen=None
                draft=Draft::of([("source", source)])
                problems
                simulation=None
            />
        }
    })?;
    page(out, "policy-new", chrome("New policy", section), || {
        let draft = Draft::of([("source", policy::starter())]);
        view! { <policy::Edit links=links() name=None seen=None draft simulation=None/> }
    })
}
