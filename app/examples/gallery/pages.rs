//! The pages of a workspace, with the example values of `app::samples`.

use crate::{chrome, page};
use app::{
    pages::{
        experiment,
        home::{Home, Welcome, WelcomePage},
        run,
    },
    samples,
    shell::Section,
    ui::prelude::{Address, Links},
};
use leptos::prelude::*;
use std::{io, path::Path};

pub(crate) fn write(out: &Path) -> io::Result<()> {
    let links = || Links::new("wine-lab");
    page(
        out,
        "home",
        chrome("Home", Some(Section::Home)),
        move || view! { <Home links=links() page=samples::home()/> },
    )?;
    page(out, "home-empty", chrome("Welcome", Some(Section::Home)), move || {
        view! { <Welcome links=links() page=samples::welcome()/> }
    })?;
    page(out, "home-example", chrome("Welcome", Some(Section::Home)), move || {
        let page = WelcomePage { example: Some(samples::walk()), ..samples::welcome() };
        view! { <Welcome links=links() page/> }
    })?;

    let at = |path: &str, query: &[(&str, &str)]| {
        let pairs: Vec<_> = query.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Address::new(links().to(path), pairs)
    };
    let section = || Some(Section::Experiments);
    let address = at("experiments", &[]);
    page(out, "experiments", chrome("Experiments", section()), move || {
        view! {
            <experiment::List
                may_write=true
                links=links()
                address
                experiments=samples::experiments()
                next=None
                tracking_uri="http://127.0.0.1:3000/w/wine-lab"
                error=None
            />
        }
    })?;
    let address = at("experiments/1", &[("q", "params.model = 'hgb' or metrics.f1_macro > 0.3")]);
    page(out, "runs", chrome("wine-quality", section()), move || {
        view! { <experiment::Runs links=links() address page=samples::runs() error=None/> }
    })?;
    for (name, query) in
        [("run", vec![]), ("run-metrics", vec![("tab", "metrics")]), ("run-artifacts", vec![("tab", "artifacts")])]
    {
        let address = at("runs/1", &query);
        page(out, name, chrome("hgb-lr0.05-depth6-balanced", section()), move || {
            view! { <run::Detail links=links() address page=samples::run()/> }
        })?;
    }
    for tab in ["charts", "values", "parallel", "scatter", "bars"] {
        let address = at("runs/compare", &[("tab", tab)]);
        let name = format!("compare-{tab}");
        page(out, &name, chrome("Compare runs", section()), move || {
            view! { <run::Compare links=links() address page=samples::compare()/> }
        })?;
    }
    Ok(())
}
