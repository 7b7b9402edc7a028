//! Models, with the example values of `app::samples`.

use crate::{chrome, page};
use app::{
    pages::{
        model::{
            AliasEdit, Aliases, AliasesPage, Asked, Card, CardPage, Compare, Detail, List, ModelPage, NewModel,
            Version, VersionPage,
        },
        registration::Register,
    },
    samples::{ago, models as m, registration},
    shell::Section,
    ui::prelude::{Address, Draft, Links},
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
    let section = Some(Section::Models);
    let (models, endpoints) = m::list();
    page(out, "models", chrome("Models", section), move || {
        view! { <List links=links() address=at("models", &[]) models total=213 next=Some("ab".to_owned()) endpoints error=None may_write=true/> }
    })?;
    page(out, "models-empty", chrome("Models", section), move || {
        view! { <List links=links() address=at("models", &[]) models=vec![] total=0 next=None endpoints=vec![] error=None may_write=true/> }
    })?;
    page(out, "model-new", chrome("New model", section), move || {
        let error = domain::Error::already_exists("There is a model wine-quality already.").in_field("name");
        let draft = Draft::of([("name", "wine-quality"), ("description", "Quality of wine.")]).refused(&error);
        view! { <NewModel links=links() draft/> }
    })?;
    page(out, "model-register", chrome("Register a model", Some(Section::Experiments)), move || {
        view! { <Register links=links() page=registration()/> }
    })?;
    page(out, "models-refused", chrome("Models", section), move || {
        let error = Some("Expected a comparison after \"tags.team\", at the end.".to_owned());
        let address = at("models", &[("q", "name LIKE 'w%' and tags.team")]);
        view! { <List links=links() address models=vec![] total=0 next=None endpoints=vec![] error/> }
    })?;
    for (name, sample) in [("model", m::model()), ("model-many", m::model_many()), ("model-empty", m::model_empty())] {
        let sample: ModelPage = sample;
        page(out, name, chrome(&sample.model.name.clone(), section), move || {
            view! { <Detail links=links() address=at("models/wine", &[]) page=sample/> }
        })?;
    }
    let then = AliasesPage { asked: Some(Asked::At(ago(60 * 24 * 15))), ..m::aliases() };
    let refused = AliasesPage {
        asked: Some(Asked::Refused("\"last week\" is neither a day nor a time. Write 2026-11-23, 2026-11-23T09:05 or 2026-11-23T09:05:12Z; a time without a zone is in UTC.".to_owned())),
        then: m::aliases().now,
        ..m::aliases()
    };
    let now = AliasesPage { then: m::aliases().now, ..m::aliases() };
    let none = AliasesPage { ever: Vec::new(), model: m::model_empty().model, ..m::aliases() };
    let protected = domain::Error::forbidden(
        "production of wine-quality-classifier is protected and changes only by a promotion. Request one of wine-quality-classifier v13 here:",
    );
    let edit = AliasEdit {
        draft: Draft::of([("alias", "production"), ("version", "13")]).refused(&protected),
        promotion: Some(links().new_promotion_into("wine-quality-classifier", 13, "production")),
    };
    let denied = AliasesPage { then: m::aliases().now, edit, ..m::aliases() };
    for (name, sample, query) in [
        ("model-aliases", now, vec![]),
        ("model-aliases-then", then, vec![("as_of", "2026-11-08")]),
        ("model-aliases-refused", refused, vec![("as_of", "last week")]),
        ("model-aliases-none", none, vec![]),
        ("model-aliases-protected", denied, vec![]),
    ] {
        page(out, name, chrome("Aliases", section), move || {
            view! { <Aliases links=links() address=at("models/wine/aliases", &query) page=sample/> }
        })?;
    }
    let none = CardPage {
        latest: None,
        shown: None,
        history: domain::Page { items: Vec::new(), next_page_token: None },
        ..m::card()
    };
    for (name, sample) in [
        ("model-card", m::card()),
        ("model-card-edit", m::card_edit()),
        ("model-card-conflict", m::card_conflict()),
        ("model-card-compared", m::card_compared()),
        ("model-card-none", none),
    ] {
        page(out, name, chrome("Card", section), move || {
            view! { <Card links=links() address=at("models/wine/card", &[]) page=sample/> }
        })?;
    }
    for (name, sample) in [("version", m::version_page()), ("version-bare", m::version_bare())] {
        let sample: VersionPage = sample;
        page(out, name, chrome(&sample.version.title(), section), move || {
            view! { <Version links=links() address=at("models/wine/versions/14", &[]) page=sample/> }
        })?;
    }
    page(out, "version-compare", chrome("Compare versions", section), move || {
        view! { <Compare links=links() page=m::compare()/> }
    })
}
