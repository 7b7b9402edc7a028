//! The form that makes a dataset, and the one that makes a version of files of a browser.

use crate::ui::prelude::*;
use domain::dataset::DatasetName;
use leptos::prelude::*;

/// Makes a dataset without a version. Sends `name` and `description` to `datasets`.
#[component]
pub fn NewDataset(
    /// The addresses of the workspace.
    links: Links,
    /// What was typed, and why it was refused.
    #[prop(optional)]
    draft: Draft,
) -> impl IntoView {
    let (action, back) = (links.datasets(), links.datasets());
    view! {
        <Crumbs items=vec![Crumb::to("Datasets", links.datasets()), Crumb::here("New")]/>
        <PageHead title="New dataset".into_any()/>
        <div class="narrow mt-4">
            <Panel title="What it is" id="new-dataset" note="Its files come as versions">
                <Body>
                    <form class="stack" method="post" action=action>
                        <FormErrors draft=draft.clone() fields=&["name", "description"]/>
                        <TextField
                            label="Name"
                            name="name"
                            autocomplete="off"
                            max=DatasetName::MAX
                            hint="As commands have it: slipway data get wine@3. Letters, digits, \"-\", \"_\" and \".\"."
                            focus=true
                            draft=draft.clone()
                        />
                        <TextArea
                            label="Description"
                            name="description"
                            hint="What it is for. Lists show the first line."
                            optional=true
                            draft
                        />
                        <div class="form">
                            <div class="go">
                                <Button text="Make dataset" kind=Kind::Primary/>
                                <ButtonLink text="Cancel" href=back/>
                            </div>
                        </div>
                    </form>
                </Body>
            </Panel>
        </div>
    }
}

/// The field for a folder. Its attribute is one that views do not know.
const FOLDER: &str = "<label for=\"folder\">Or a folder</label>\
                      <input class=\"input\" id=\"folder\" name=\"files\" type=\"file\" multiple webkitdirectory>";

/// Makes a version of files that a browser sends: `files` and `message`, to `datasets/{name}/versions`.
#[component]
pub fn Upload(
    /// The addresses of the workspace.
    links: Links,
    /// The dataset.
    name: String,
    /// Why the last try was refused.
    #[prop(optional)]
    draft: Draft,
) -> impl IntoView {
    let action = format!("{}/versions", links.dataset(&name));
    view! {
        <Panel title="New version" id="upload" note="Of files of this browser">
            <Body>
                <form class="stack" method="post" action=action enctype="multipart/form-data">
                    <FormErrors draft=draft.clone() fields=&["message"]/>
                    <div class="field">
                        <label for="files">"Files"</label>
                        <input class="input" id="files" name="files" type="file" multiple=true/>
                    </div>
                    <div class="field" inner_html=FOLDER></div>
                    <TextField label="Message" name="message" optional=true draft/>
                    <div class="form">
                        <div class="go"><Button text="Upload version" kind=Kind::Primary/></div>
                    </div>
                    <p class="muted">"They are all files of the version. The same files again make no new one."</p>
                </form>
            </Body>
        </Panel>
    }
}
