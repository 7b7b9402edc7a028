//! What people change of an experiment or a run: its name, its note, and whether it is put away. Each is a form that is
//! sent to the page itself, and says which by `do`.

use crate::ui::prelude::*;
use leptos::prelude::*;

/// What is changed, and by whom.
#[derive(Debug, Clone)]
pub(in crate::pages) struct Subject {
    /// What it is: `experiment`, `run`.
    pub noun: &'static str,
    /// Its name.
    pub name: String,
    /// The field with its name, and how many characters that has at most.
    pub field: (&'static str, usize),
    /// The source of its note; empty without one.
    pub note: String,
    /// This page, to come back to.
    pub here: Address,
    /// The page on which the note is written.
    pub writing: Address,
    /// Whether the reader may change it.
    pub may_write: bool,
    /// Whether it is put away.
    pub is_deleted: bool,
    /// What was typed into one of the forms, and what is wrong with it.
    pub draft: Draft,
}

impl Subject {
    /// Whether its forms are shown. What is put away does not change; what was typed meanwhile is not lost.
    pub(in crate::pages) fn is_open(&self) -> bool {
        self.may_write && (!self.is_deleted || self.draft.is_refused())
    }

    /// Where the forms are sent.
    pub(in crate::pages) fn action(&self) -> String {
        self.here.path().to_owned()
    }

    /// What a form sends along.
    pub(in crate::pages) fn values(&self, act: &str) -> Vec<(&'static str, String)> {
        vec![("do", act.to_owned()), ("back", self.here.query())]
    }
}

/// What else can be done with it.
#[component]
pub(in crate::pages) fn Menu(subject: Subject) -> impl IntoView {
    subject.is_open().then(|| {
        let has_note = !subject.note.is_empty();
        view! {
            <More label=format!("Change this {}", subject.noun)>
                <button class="item" type="button" popovertarget="rename"><Icon symbol=Symbol::Edit/>"Rename"</button>
                <a href=subject.writing.href()>
                    <Icon symbol=Symbol::File/>
                    {if has_note { "Edit note" } else { "Add a note" }}
                </a>
                <hr/>
                <button class="item danger" type="button" popovertarget="delete"><Icon symbol=Symbol::Bin/>"Delete"</button>
            </More>
        }
    })
}

/// What the menu opens; and of what is put away, that it is, and the way back.
#[component]
pub(in crate::pages) fn Asked(
    subject: Subject,
    /// What is lost when it is deleted, and what stays.
    lost: &'static str,
) -> impl IntoView {
    let Subject { noun, name, field: (field, max), .. } = subject.clone();
    let put_away = subject.is_deleted.then(|| {
        let restore = subject.may_write.then(|| {
            view! { <Act action=subject.action() text=format!("Restore {noun}") symbol=Symbol::Undo values=subject.values("restore")/> }
        });
        view! {
            <div class="mt-4 put-away">
                <Callout tone=Tone::Warn symbol=Symbol::Bin>
                    <span>{format!("This {noun} is deleted: MLflow's clients do not find it, and nothing of it can be changed.")}</span>
                    {restore}
                </Callout>
            </div>
        }
    });
    let forms = subject.is_open().then(|| {
        let draft = subject.draft.of_form("rename");
        let shown = if draft.is_refused() { draft.clone() } else { Draft::of([(field, name.clone())]) };
        view! {
            <Ask
                id="rename"
                title=format!("Rename this {noun}")
                action=subject.action()
                go="Rename"
                leave=subject.here.href()
                draft
                fields=&["run_name", "new_name"]
                values=subject.values("rename")
            >
                <TextField label="Name" name=field max=max autocomplete="off" focus=true draft=shown/>
            </Ask>
            <Confirm
                id="delete"
                title=format!("Delete the {noun} {name}?")
                action=subject.action()
                go=format!("Delete {noun}")
                keep="Keep it"
                values=subject.values("delete")
            >
                <p>{lost}</p>
            </Confirm>
        }
    });
    view! { {put_away}{forms} }
}

/// Its note as it reads, or as it is written.
#[component]
pub(in crate::pages) fn Note(
    subject: Subject,
    /// What its Markdown says; none without a note.
    text: Option<AnyView>,
    /// The most characters of a note.
    most: usize,
    /// Whether it scrolls when it is long, where other things stand below it.
    #[prop(optional)]
    scrolls: bool,
) -> impl IntoView {
    let refused = subject.draft.of_form("note");
    let writes = subject.here.get("edit") == Some("note") || refused.is_refused();
    if writes && subject.is_open() {
        let draft = if refused.is_refused() { refused } else { Draft::of([("note", subject.note.clone())]) };
        let leave = subject.here.without("edit");
        let heading = if subject.note.is_empty() { "Add a note" } else { "Edit the note" };
        return view! {
            <form class="panel" id="about" method="post" action=format!("{}#about", subject.action()) aria-labelledby="h-about">
                <header><h2 id="h-about">{heading}</h2></header>
                <div class="body stack">
                    <FormErrors draft=draft.clone() fields=&["note"]/>
                    <TextArea
                        label="Note"
                        name="note"
                        draft
                        rows=10
                        mono=true
                        optional=true
                        hint=format!(
                            "Markdown: headings, lists, tables, code, links. Up to {} characters; none takes the note away.",
                            format::integer(i64::try_from(most).unwrap_or_default()),
                        )
                    />
                    <input type="hidden" name="do" value="note"/>
                    <input type="hidden" name="back" value=leave.query()/>
                    <div class="buttons">
                        <Button text="Save note" kind=Kind::Primary/>
                        <ButtonLink text="Leave" href=leave.href() kind=Kind::Ghost/>
                    </div>
                </div>
            </form>
        }
        .into_any();
    }
    let edit = subject.is_open().then(|| {
        view! { <a class="icon-btn" href=subject.writing.href() aria-label="Edit the note" title="Edit the note"><Icon symbol=Symbol::Edit/></a> }
    });
    match text {
        Some(text) => view! {
            <Panel title="Note" id="about" actions=view! { {edit} }.into_any() live=true>
                <div class="body doc said" tabindex=scrolls.then_some("0")>{text}</div>
            </Panel>
        }
        .into_any(),
        None => ().into_any(),
    }
}
