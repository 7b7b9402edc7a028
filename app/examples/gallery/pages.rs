//! The pages of a workspace, with the example values of `app::samples`.

use crate::{chrome, page};
use app::{
    pages::home::{Home, Welcome},
    samples,
    shell::Section,
    ui::prelude::Links,
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
    })
}
