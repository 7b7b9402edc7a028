//! The design system: small typed components, one file to a story. Their looks are in `app/style`.
//!
//! Components take values and words; which word a state has, and where a link leads, is the page's to say.

pub mod avatar;
pub mod button;
pub mod code;
pub mod compare;
pub mod copy;
pub mod dialog;
pub mod diff;
pub mod field;
pub mod head;
pub mod icon;
pub mod log;
pub mod meter;
pub mod metric;
pub mod panel;
pub mod query;
pub mod state;
pub mod table;
pub mod time;
pub mod timeline;
pub mod value;
pub mod verdict;

/// What most pages use.
pub mod prelude {
    pub use super::{
        avatar::{Avatar, Size as AvatarSize},
        button::{Act, Button, ButtonLink, Kind, Size as ButtonSize},
        compare::{self, CompareWith},
        copy::{CodeBlock, Command, CopyButton},
        dialog::{Ask, Confirm, More},
        diff::{Diff, DiffCount},
        field::{self, Bounds, CheckField, Draft, FormErrors, SelectField, TextArea, TextField},
        head::{Choice, Crumb, Crumbs, PageHead, Tab, Tabs},
        icon::{Icon, Symbol},
        log::{LogPanel, LogPart, LogRow},
        meter::{Meter, Progress},
        metric::{BoardRun, ChartBoard, ChartControls, ChartGroup, ChartPanel},
        panel::{Body, Callout, Empty, Fact, Facts, Panel, Row, Rows},
        query::{Address, Sort},
        state::{Badge, State, StateMark, StateShape, Tag, Tone},
        table::{FilterBar, Head, Pager, SortHead, Table},
        time::{Took, Until, When, from_ms, now},
        timeline::{Comment, Happened, Prose, Timeline},
        value::{Delta, Difference, DigestText, Maybe, Meaning, Num},
        verdict::{Answer, Answers, Lineage, Station},
    };
    pub use crate::{format, links::Links};
}
