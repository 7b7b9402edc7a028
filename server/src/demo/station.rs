//! The stations of the walk, in order, and what is known of each.

use serde::Serialize;
use std::{
    fmt,
    io::{IsTerminal as _, Write as _},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};
use tokio::sync::Notify;

/// A station of the walk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Station {
    /// The server answers.
    Server,
    /// The Python environment that the training runs in.
    Python,
    /// Those who walk.
    People,
    /// What production asks for.
    Policy,
    /// The pipeline's file.
    Pipeline,
    /// The run that trains.
    PipelineRun,
    /// What it registers.
    ModelVersion,
    /// The request to bring that into production, through the gates.
    Promotion,
    /// The approver's decision.
    Approval,
    /// The version answers in production.
    Deployment,
    /// Traffic like that of the training.
    Traffic,
    /// What shall happen when traffic drifts, and traffic that does.
    Trigger,
    /// The alert.
    Alert,
    /// The run that the trigger starts.
    Retraining,
    /// What that proposes, waiting for people.
    Candidate,
}

impl Station {
    /// The name for people.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::Server => "Server",
            Self::Python => "Python",
            Self::People => "People",
            Self::Policy => "Policy",
            Self::Pipeline => "Pipeline",
            Self::PipelineRun => "Pipeline run",
            Self::ModelVersion => "Model version",
            Self::Promotion => "Promotion",
            Self::Approval => "Approval",
            Self::Deployment => "Deployment",
            Self::Traffic => "Traffic",
            Self::Trigger => "Trigger",
            Self::Alert => "Alert",
            Self::Retraining => "Retraining",
            Self::Candidate => "Candidate",
        }
    }

    /// The key in the last line.
    #[must_use]
    pub fn key(self) -> &'static str {
        match self {
            Self::Server => "server",
            Self::Python => "python",
            Self::People => "people",
            Self::Policy => "policy",
            Self::Pipeline => "pipeline",
            Self::PipelineRun => "pipeline_run",
            Self::ModelVersion => "model_version",
            Self::Promotion => "promotion",
            Self::Approval => "approval",
            Self::Deployment => "deployment",
            Self::Traffic => "traffic",
            Self::Trigger => "trigger",
            Self::Alert => "alert",
            Self::Retraining => "retraining",
            Self::Candidate => "candidate",
        }
    }
}

/// What a station came to: the object's id as people use it, its state, and where to look at it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Reached {
    /// A number or a name.
    pub id: serde_json::Value,
    /// Its state, in the object's own word.
    pub state: String,
    /// Its page, below the server's address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub page: Option<String>,
    /// What is worth saying, for people.
    #[serde(skip)]
    pub note: String,
}

impl Reached {
    /// What was reached.
    pub fn new(id: impl Into<serde_json::Value>, state: impl Into<String>, note: impl Into<String>) -> Self {
        Self { id: id.into(), state: state.into(), page: None, note: note.into() }
    }

    /// It is shown there.
    #[must_use]
    pub fn at(mut self, page: impl Into<String>) -> Self {
        self.page = Some(page.into());
        self
    }
}

/// A station is not reached: what should have come, what came, and where to look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// What should have come.
    pub expected: String,
    /// What came instead.
    pub seen: String,
    /// Where more can be found: a page below the server's address, or a file.
    pub look: Option<String>,
}

impl Failure {
    /// This was expected, and that came.
    pub fn new(expected: impl Into<String>, seen: impl fmt::Display) -> Self {
        Self { expected: expected.into(), seen: seen.to_string(), look: None }
    }

    /// Unless it is said already, more can be found there.
    #[must_use]
    pub fn look_at(mut self, place: impl Into<String>) -> Self {
        self.look.get_or_insert(place.into());
        self
    }
}

/// What was reached, and what it leaves for the next station; or why it was not reached.
pub(super) type Arrival<T> = Result<(Reached, T), Failure>;

/// A line of the walk's progress.
#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    /// The station.
    pub station: Station,
    /// What was reached, or why it was not; none while it goes on.
    pub ended: Option<Result<Reached, Failure>>,
    /// What is going on, or has been.
    pub note: String,
    /// How long it took, or takes so far.
    pub took: Duration,
}

/// How far a walk has come. Clones show the same walk.
#[derive(Debug, Clone, Default)]
pub struct Progress {
    walked: Arc<Mutex<Walked>>,
    changed: Arc<Notify>,
    /// Tell every station on standard error too.
    aloud: bool,
}

#[derive(Debug, Default)]
struct Walked {
    lines: Vec<Line>,
    /// When the last line began.
    since: Option<Instant>,
}

impl Progress {
    /// That of a walk that is told on standard error.
    #[must_use]
    pub fn aloud() -> Self {
        Self { aloud: true, ..Self::default() }
    }

    fn walked(&self) -> MutexGuard<'_, Walked> {
        self.walked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The stations so far, in order.
    #[must_use]
    pub fn lines(&self) -> Vec<Line> {
        let walked = self.walked();
        let mut lines = walked.lines.clone();
        if let (Some(last), Some(since)) = (lines.last_mut().filter(|line| line.ended.is_none()), walked.since) {
            last.took = since.elapsed();
        }
        lines
    }

    /// Waits until there is something new to tell. For one listener.
    pub(super) async fn changed(&self) {
        self.changed.notified().await;
    }

    /// What was reached at a station.
    #[must_use]
    pub fn reached(&self, station: Station) -> Option<Reached> {
        let walked = self.walked();
        let line = walked.lines.iter().find(|line| line.station == station)?;
        line.ended.as_ref()?.as_ref().ok().cloned()
    }

    /// The state of what was reached at a station has become another.
    pub(super) fn became(&self, station: Station, state: impl Into<String>) {
        let mut walked = self.walked();
        let line = walked.lines.iter_mut().find(|line| line.station == station);
        if let Some(Line { ended: Some(Ok(reached)), .. }) = line {
            reached.state = state.into();
        }
    }

    /// Goes to a station, by this work.
    pub(super) async fn station<T>(
        &self,
        station: Station,
        work: impl Future<Output = Arrival<T>>,
    ) -> Result<T, Failure> {
        let began = Instant::now();
        {
            let mut walked = self.walked();
            let line = Line { station, ended: None, note: String::new(), took: Duration::ZERO };
            walked.lines.push(line);
            walked.since = Some(began);
        }
        self.draw();
        let (ended, left) = match work.await {
            Ok((reached, left)) => (Ok(reached), Ok(left)),
            Err(failure) => (Err(failure.clone()), Err(failure)),
        };
        {
            let mut walked = self.walked();
            if let Some(line) = walked.lines.last_mut() {
                line.took = began.elapsed();
                line.note = match &ended {
                    Ok(reached) => reached.note.clone(),
                    Err(failure) => format!("expected {}; saw {}", failure.expected, failure.seen),
                };
                line.ended = Some(ended);
            }
        }
        self.draw();
        left
    }

    /// Says what is going on at the present station.
    pub(super) fn note(&self, note: impl Into<String>) {
        let note = note.into();
        {
            let mut walked = self.walked();
            let Some(line) = walked.lines.last_mut().filter(|line| line.ended.is_none() && line.note != note) else {
                return;
            };
            line.note = note;
        }
        self.draw();
    }

    /// Tells the last line: on a terminal over what it said before, else once it has ended.
    fn draw(&self) {
        self.changed.notify_one();
        let walked = self.walked();
        let Some(line) = walked.lines.last() else { return };
        let mut out = std::io::stderr().lock();
        let on_terminal = out.is_terminal();
        if !self.aloud {
            if line.ended.is_some() {
                tracing::info!(station = line.station.title(), took = ?line.took, "demo: {}", line.note);
            }
        } else if line.ended.is_some() || on_terminal {
            // Nothing can be done when nobody listens.
            let _ = match (on_terminal, line.ended.is_some()) {
                (true, false) => write!(out, "\r\x1b[2K{}", cut(&line.to_string())),
                (true, true) => writeln!(out, "\r\x1b[2K{line}"),
                (false, _) => writeln!(out, "{line}"),
            };
            let _ = out.flush();
        }
    }
}

/// At most as much as any terminal shows in one line: a longer one could not be drawn over.
fn cut(text: &str) -> String {
    text.chars().take(79).collect()
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (sign, took) = match &self.ended {
            None => ("▸", String::new()),
            Some(Ok(_)) => ("✓", format!("{:.1} s", self.took.as_secs_f64())),
            Some(Err(_)) => ("✗", format!("{:.1} s", self.took.as_secs_f64())),
        };
        write!(f, "  {sign} {:14} {took:>8}  {}", self.station.title(), self.note)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_station_leaves_its_line() {
        let progress = Progress::default();
        let reached = Reached::new(3, "succeeded", "trained").at("/w/default/pipeline-runs/3");
        progress.station(Station::PipelineRun, async { Ok((reached.clone(), ())) }).await.unwrap();
        let none = Failure::new("an alert", "none");
        assert_eq!(progress.station(Station::Alert, async { Arrival::<()>::Err(none.clone()) }).await, Err(none));

        assert_eq!(progress.reached(Station::PipelineRun), Some(reached));
        assert_eq!(progress.reached(Station::Alert), None);
        let notes: Vec<_> = progress.lines().into_iter().map(|line| line.note).collect();
        assert_eq!(notes, ["trained", "expected an alert; saw none"]);
    }

    #[tokio::test]
    async fn notes_belong_to_what_goes_on() {
        let progress = Progress::default();
        let inner = progress.clone();
        let work = async move {
            inner.note("training");
            assert_eq!(inner.lines()[0].note, "training");
            assert!(inner.lines()[0].ended.is_none());
            Ok((Reached::new(1, "succeeded", "trained"), ()))
        };
        progress.station(Station::PipelineRun, work).await.unwrap();
        progress.note("too late");
        assert_eq!(progress.lines()[0].note, "trained");
    }

    #[test]
    fn a_line_names_station_time_and_note() {
        let line = Line {
            station: Station::PipelineRun,
            ended: Some(Ok(Reached::new(1, "succeeded", ""))),
            note: "#1 succeeded".to_owned(),
            took: Duration::from_millis(12_340),
        };
        assert_eq!(line.to_string(), "  ✓ Pipeline run     12.3 s  #1 succeeded");
    }
}
