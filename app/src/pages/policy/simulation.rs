//! What a drafted policy would have said of the promotions that are past.

use crate::{format, pages::promotion, ui::prelude::*};
use domain::promotion::{PolicySimulation, Simulated, SimulatedPromotion};
use leptos::prelude::*;

/// What a draft would have decided on the last promotions that it would hold for.
#[component]
pub(super) fn Simulation(
    /// The addresses of the workspace.
    links: Links,
    /// What was found.
    simulation: PolicySimulation,
) -> impl IntoView {
    let PolicySimulation { would_pass, would_block, cannot_tell, looked_at, promotions, .. } = simulation;
    let count = |n: usize, one: &str, many: &str| format::count(i64::try_from(n).unwrap_or_default(), one, many);
    let none = promotions.is_empty();
    let note = format!("{would_pass} would pass, {would_block} would not, of {cannot_tell} it cannot be told");
    let rows = promotions.into_iter().map(|one| view! { <OneRow links=links.clone() one/> }).collect_view();
    let looked = format!("Nothing was changed. Looked at: the last {}.", count(looked_at, "promotion", "promotions"));
    view! {
        <section id="simulation" role="status">
            <Panel title="Simulated" id="simulated" note=note foot=looked.into_any()>
                {if none {
                    view! { <Body><p class="muted">"No past promotion is one that it would hold for."</p></Body> }.into_any()
                } else {
                    view! {
                        <Table label="What it would have decided" roomy=true>
                            <thead>
                                <tr>
                                    <Head label="Promotion"/>
                                    <Head label="It would"/>
                                    <Head label="What happened"/>
                                    <Head label="Why"/>
                                </tr>
                            </thead>
                            <tbody>{rows}</tbody>
                        </Table>
                    }
                        .into_any()
                }}
            </Panel>
        </section>
    }
}

#[component]
fn OneRow(links: Links, one: SimulatedPromotion) -> impl IntoView {
    let (shape, word) = match one.outcome {
        Simulated::WouldPass => (State::Passed, "Pass"),
        Simulated::WouldBlock => (State::Failed, "Not pass"),
        Simulated::CannotTell => (State::Unsure, "Cannot tell"),
    };
    let (stands, stood) = promotion::state(one.state);
    let why = if one.reasons.is_empty() {
        "What was found and decided then would do.".to_owned()
    } else {
        format::capitalised(&one.reasons.join("; "))
    };
    view! {
        <tr>
            <th scope="row"><a class="strong" href=links.promotion(one.number)>{one.title}</a><span class="sub">{format!("#{}", one.number)}</span></th>
            <td><StateMark state=shape word/></td>
            <td><StateMark state=stands word=stood/></td>
            <td class="wrap">{why}</td>
        </tr>
    }
}
