//! Their placeholders: `{{$.inputs.parameters['x']}}` in a text, and the two that are a whole element of a command,
//! `{"Concat": […]}` and `{"IfPresent": {…}}`.

use serde_json::Value;

/// One part of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Part<'a> {
    /// Taken as it is.
    Text(&'a str),
    /// Filled in.
    Place(Place<'a>),
}

/// What a placeholder stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place<'a> {
    /// The whole message, so many times escaped as JSON.
    Message(usize),
    /// An input that is a value.
    Parameter(&'a str),
    /// Something of an input that is an artifact; without anything, the list of it.
    InputArtifact(&'a str, Property<'a>),
    /// The file in which an output that is a value is expected.
    OutputFile(&'a str),
    /// Something of an output that is an artifact.
    OutputArtifact(&'a str, Property<'a>),
    /// The file in which the answer is expected.
    AnswerFile,
    /// Something of the run: `pipeline_job_name` and its like.
    Run(&'a str),
}

/// What of an artifact is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Property<'a> {
    All,
    Uri,
    Path,
    Name,
    Metadata,
    Field(&'a str),
}

/// What of a run a placeholder can stand for.
pub(crate) const OF_RUN: [&str; 8] = [
    "pipeline_job_name",
    "pipeline_job_resource_name",
    "pipeline_job_uuid",
    "pipeline_task_name",
    "pipeline_task_uuid",
    "pipeline_root",
    "pipeline_job_create_time_utc",
    "pipeline_job_schedule_time_utc",
];

/// The parts of a text in order. A placeholder that is not known is an error, with what stands in it.
pub(crate) fn parts(text: &str) -> Result<Vec<Part<'_>>, &str> {
    let (mut rest, mut found) = (text, Vec::new());
    while let Some(at) = rest.find("{{$") {
        if at > 0 {
            found.push(Part::Text(&rest[..at]));
        }
        let Some(end) = rest[at..].find("}}") else {
            return Err(&rest[at..]);
        };
        let inside = &rest[at + 3..at + end];
        found.push(Part::Place(place(inside).ok_or(&rest[at..at + end + 2])?));
        rest = &rest[at + end + 2..];
    }
    if !rest.is_empty() {
        found.push(Part::Text(rest));
    }
    Ok(found)
}

/// Whether there is a placeholder in a value, however deep.
pub(crate) fn is_in(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains("{{$"),
        Value::Array(items) => items.iter().any(is_in),
        Value::Object(fields) => fields.values().any(is_in),
        _ => false,
    }
}

/// What stands after `{{$`.
fn place(inside: &str) -> Option<Place<'_>> {
    let path = inside.trim();
    if path.is_empty() {
        return Some(Place::Message(0));
    }
    let path = path.strip_prefix('.')?;
    if let Some(level) = path.strip_prefix("json_escape[").and_then(|rest| rest.strip_suffix(']')) {
        return level.parse().ok().filter(|level| (1..=3).contains(level)).map(Place::Message);
    }
    if ["outputs.output_file", "outputs.output_metadata_uri", "outputMetadataUri", "output_metadata_uri"]
        .contains(&path)
    {
        return Some(Place::AnswerFile);
    }
    if OF_RUN.contains(&path) {
        return Some(Place::Run(path));
    }
    let (kind, rest) = path.split_once('[')?;
    let (name, rest) = key(rest)?;
    match (kind, rest) {
        ("inputs.parameters", "") => Some(Place::Parameter(name)),
        ("inputs.artifacts", rest) => Some(Place::InputArtifact(name, property(rest)?)),
        ("outputs.parameters", ".output_file") => Some(Place::OutputFile(name)),
        ("outputs.artifacts", rest) => Some(Place::OutputArtifact(name, property(rest)?)),
        _ => None,
    }
}

/// `'name']…`: the name, and what follows.
fn key(text: &str) -> Option<(&str, &str)> {
    let quote = text.chars().next().filter(|c| ['\'', '"'].contains(c))?;
    let (name, rest) = text[1..].split_once(quote)?;
    Some((name, rest.strip_prefix(']')?))
}

fn property(text: &str) -> Option<Property<'_>> {
    match text {
        "" => Some(Property::All),
        ".uri" => Some(Property::Uri),
        ".path" => Some(Property::Path),
        ".name" => Some(Property::Name),
        ".metadata" => Some(Property::Metadata),
        _ => {
            let (name, rest) = key(text.strip_prefix(".metadata[").or_else(|| text.strip_prefix(".properties["))?)?;
            rest.is_empty().then_some(Property::Field(name))
        }
    }
}

/// One element of a command: a text, or what becomes none, one or many.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Element {
    Text(String),
    Concat(Vec<Element>),
    IfPresent { input: String, then: Vec<Element>, otherwise: Vec<Element> },
}

impl Element {
    /// Reads an element. A text that is no JSON of theirs is itself.
    pub(crate) fn read(text: &str) -> Self {
        let is_structure = text.starts_with("{\"Concat\"") || text.starts_with("{\"IfPresent\"");
        let read = is_structure.then(|| serde_json::from_str::<Value>(text).ok()).flatten();
        read.and_then(|value| Self::of(&value)).unwrap_or_else(|| Self::Text(text.to_owned()))
    }

    fn of(value: &Value) -> Option<Self> {
        let fields = match value {
            Value::String(text) => return Some(Self::Text(text.clone())),
            Value::Object(fields) if fields.len() == 1 => fields,
            _ => return None,
        };
        if let Some(Value::Array(items)) = fields.get("Concat") {
            return items.iter().map(Self::of).collect::<Option<_>>().map(Self::Concat);
        }
        let condition = fields.get("IfPresent")?.as_object()?;
        let all = |key: &str| match condition.get(key) {
            None | Some(Value::Null) => Some(Vec::new()),
            Some(Value::Array(items)) => items.iter().map(Self::of).collect(),
            Some(one) => Some(vec![Self::of(one)?]),
        };
        let input = condition.get("InputName")?.as_str()?.to_owned();
        Some(Self::IfPresent { input, then: all("Then")?, otherwise: all("Else")? })
    }

    /// Every text in it.
    pub(crate) fn texts(&self) -> Vec<&str> {
        match self {
            Self::Text(text) => vec![text],
            Self::Concat(items) => items.iter().flat_map(Self::texts).collect(),
            Self::IfPresent { then, otherwise, .. } => then.iter().chain(otherwise).flat_map(Self::texts).collect(),
        }
    }

    /// Every input whose being there is asked for.
    pub(crate) fn asks_for(&self) -> Vec<&str> {
        match self {
            Self::Text(_) => Vec::new(),
            Self::Concat(items) => items.iter().flat_map(Self::asks_for).collect(),
            Self::IfPresent { input, then, otherwise } => {
                let inner = then.iter().chain(otherwise).flat_map(Self::asks_for);
                inner.chain([input.as_str()]).collect()
            }
        }
    }

    /// What it becomes.
    pub(crate) fn render(&self, is_present: &impl Fn(&str) -> bool, fill: &impl Fn(&str) -> String) -> Vec<String> {
        let all =
            |items: &[Self]| -> Vec<String> { items.iter().flat_map(|item| item.render(is_present, fill)).collect() };
        match self {
            Self::Text(text) => vec![fill(text)],
            Self::Concat(items) => vec![all(items).concat()],
            Self::IfPresent { input, then, .. } if is_present(input) => all(then),
            Self::IfPresent { otherwise, .. } => all(otherwise),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_read() {
        let places =
            |text| parts(text).unwrap().into_iter().filter(|part| !matches!(part, Part::Text(_))).collect::<Vec<_>>();
        assert_eq!(parts("a{{$}}b").unwrap(), [Part::Text("a"), Part::Place(Place::Message(0)), Part::Text("b")]);
        assert_eq!(
            places("{{$.inputs.parameters['pipelinechannel--x.y']}}"),
            [Part::Place(Place::Parameter("pipelinechannel--x.y"))]
        );
        assert_eq!(places("{{$.inputs.parameters[\"x\"]}}"), [Part::Place(Place::Parameter("x"))]);
        assert_eq!(places("{{$.json_escape[1]}}"), [Part::Place(Place::Message(1))]);
        assert_eq!(places("{{$.outputs.parameters['o'].output_file}}"), [Part::Place(Place::OutputFile("o"))]);
        assert_eq!(
            places("{{$.inputs.artifacts['a'].metadata['n']}} {{$.outputs.artifacts['b'].path}}"),
            [
                Part::Place(Place::InputArtifact("a", Property::Field("n"))),
                Part::Place(Place::OutputArtifact("b", Property::Path))
            ]
        );
        assert_eq!(parts("x {{$.workspace_path}} y"), Err("{{$.workspace_path}}"));
        assert_eq!(parts("{{$.inputs.parameters['x'}}"), Err("{{$.inputs.parameters['x'}}"));
        assert_eq!(parts("{{ $x }} {{"), Ok(vec![Part::Text("{{ $x }} {{")]));
    }

    #[test]
    fn elements_become_none_one_or_many() {
        let render = |text: &str| Element::read(text).render(&|name| name == "given", &|text| text.replace('X', "1"));
        assert_eq!(render("a X"), ["a 1"]);
        assert_eq!(render(r#"{"Concat": ["a=", "X", {"IfPresent": {"InputName": "given", "Then": "!"}}]}"#), ["a=1!"]);
        assert_eq!(render(r#"{"IfPresent": {"InputName": "given", "Then": ["--x", "X"], "Else": "-"}}"#), ["--x", "1"]);
        assert_eq!(render(r#"{"IfPresent": {"InputName": "not", "Then": ["--x", "X"]}}"#), Vec::<String>::new());
        assert_eq!(render(r#"{"IfPresent": {"InputName": "not", "Then": "a", "Else": ["b", "c"]}}"#), ["b", "c"]);
        assert_eq!(render(r#"{"Concat": 1}"#), [r#"{"Concat": 1}"#]);
    }
}
