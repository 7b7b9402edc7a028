//! The pages, one file to a noun: functions of what they show. What a page needs beyond the nouns of `domain` is a
//! struct in its file, which the server fills.

pub mod door;
pub mod model;
pub mod home;
pub mod pipeline;
pub mod pipeline_run;
pub mod promotion;
pub mod settings;
pub mod trouble;
