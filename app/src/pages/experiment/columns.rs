//! Which columns the table has: added, moved, kept in view and taken away, each by one press of a form whose answer is the
//! page at its new address.

use super::typed::TypedColumn;
use crate::ui::prelude::*;
use domain::run_table::RunColumn;
use leptos::prelude::*;

/// The form that the buttons and the field of [`ChooseColumns`] belong to: they stand inside the filter's form, which can
/// hold no other.
const FORM: &str = "columns-form";

/// The form itself, with the columns as they are: whoever has not chosen begins with what is shown.
#[component]
pub(super) fn ColumnForm(address: Address, columns: Vec<RunColumn>) -> impl IntoView {
    let hidden: Vec<(String, String)> = address.others(&["col", "add", "change"]).collect();
    let columns = columns.into_iter().map(|column| ("col".to_owned(), column.to_string()));
    view! {
        <form id=FORM method="get" action=address.path().to_owned()>
            {field::hidden(hidden.into_iter().chain(columns))}
        </form>
    }
}

/// The disclosure with the columns that are shown, and the field that adds one.
#[component]
pub(super) fn ChooseColumns(
    address: Address,
    columns: Vec<RunColumn>,
    keys: i64,
    usual: Vec<RunColumn>,
    no_column: Option<(String, String)>,
    /// Where columns are looked for while somebody types.
    search: String,
) -> impl IntoView {
    let shown = columns.len();
    let last = shown.saturating_sub(1);
    let pins: Vec<String> = address.all("pin").map(ToOwned::to_owned).collect();
    let curve = address.get("curve").map(ToOwned::to_owned);
    let (typed, wrong) = no_column.map_or((None, None), |(typed, wrong)| (Some(typed), Some(wrong)));
    let is_chosen = address.get("col").is_some();
    let list = columns
        .iter()
        .enumerate()
        .map(|(at, column)| {
            let name = column.to_string();
            let is_pinned = pins.contains(&name);
            let act = |change: &str, symbol: Symbol, does: &str, enabled: bool| {
                let what = format!("{does} {name}");
                view! {
                    <button
                        class="icon-btn"
                        type="submit"
                        form=FORM
                        name="change"
                        value=format!("{change}:{name}")
                        aria-label=what.clone()
                        title=what
                        disabled=!enabled
                    >
                        <Icon symbol/>
                    </button>
                }
            };
            let pin = match is_pinned {
                true => act("unpin", Symbol::Pinned, "Let go of", true).into_any(),
                false => act("pin", Symbol::Pin, "Keep in view:", true).into_any(),
            };
            let drawn = match column {
                RunColumn::Metric(key) if curve.as_ref() == Some(key) => {
                    act("flat", Symbol::Drawn, "Do not draw", true).into_any()
                }
                RunColumn::Metric(_) => act("draw", Symbol::Pulse, "Draw the course of", true).into_any(),
                _ => ().into_any(),
            };
            view! {
                <li>
                    <span class="mono ellipsis" title=name.clone()>{name.clone()}</span>
                    {drawn}
                    {pin}
                    {act("left", Symbol::ChevronUp, "Further left:", at > 0)}
                    {act("right", Symbol::ChevronDown, "Further right:", at < last)}
                    {act("remove", Symbol::Close, "Take away", shown > 1)}
                </li>
            }
        })
        .collect_view();
    let open = wrong.is_some();
    view! {
        <details class="more columns" open=open>
            <summary class="btn">
                <Icon symbol=Symbol::Columns/>
                "Columns "
                <span class="muted">{format!("{shown} of {}", format::integer(keys.max(0)))}</span>
            </summary>
            <div class="menu">
                <TypedColumn
                    id="column-add"
                    name="add"
                    form=FORM
                    label="Add a column"
                    placeholder="Add a column: f1, or metrics.val/*"
                    button="Add"
                    value=typed
                    wrong
                    usual
                    search
                />
                <ol class="shown">{list}</ol>
                {is_chosen
                    .then(|| {
                        view! {
                            <hr/>
                            <a href=address.without("col").without("pin").without("curve").href()>
                                <Icon symbol=Symbol::Undo/>
                                "Back to those that most runs have"
                            </a>
                        }
                    })}
            </div>
        </details>
    }
}
