//! What a step gave on.

use super::record::VersionLink;
use crate::{format, ui::prelude::*};
use domain::step::Step;
use leptos::prelude::*;

/// The panel of a step's outputs.
#[component]
pub(super) fn Outputs(step: Step, links: Links, number: i64) -> impl IntoView {
    let Step { name: step, state, outputs, .. } = step;
    let count = outputs.len();
    if outputs.is_empty() {
        let why = if state.is_final() { "It gave nothing on." } else { "They are here once the step has succeeded." };
        return view! { <Panel title="Outputs" id="outputs"><Body><p class="muted">{why}</p></Body></Panel> }
            .into_any();
    }
    view! {
        <Panel title="Outputs" id="outputs" note=count.to_string()>
            <ul class="list given">
                {outputs
                    .into_iter()
                    .map(|output| {
                        let href = links.step_output(number, &step, &output.name);
                        let symbol = if output.is_folder { Symbol::Folder } else { Symbol::File };
                        let version = output.version.map(|version| {
                            view! { <VersionLink version links=links.clone()/>" " }
                        });
                        let size = format::bytes(u64::try_from(output.size).unwrap_or_default());
                        view! {
                            <li>
                                <Icon symbol/>
                                <div class="grow">
                                    <div class="ellipsis">
                                        <a class="t" href=href download="">{output.name}</a>
                                        " "
                                        <span class="muted mono">{output.path}</span>
                                    </div>
                                    <div class="sub">{version}<DigestText digest=output.digest/></div>
                                </div>
                                <span class="end">{size}</span>
                            </li>
                        }
                    })
                    .collect_view()}
            </ul>
        </Panel>
    }
    .into_any()
}
