//! Values that are one word: a choice by the words of the model's own enum, or a name.

use crate::config::syntax::read_by;
use crate::model::channel::Change;
use crate::model::deployment::{Arm, Mode, Unanswered};
use crate::model::live::{LiveMethod, LiveUnknown};
use crate::model::name::{ServiceName, StageName, Version};
use crate::model::rule::{OnNoData, Severity};
use crate::model::signal::{Aggregation, OverTime, Unit};
use crate::model::step::{Connections, Method, Via};

read_by!(choice: Aggregation, Arm, Change, Connections, LiveMethod, LiveUnknown, Method, Mode);
read_by!(choice: OnNoData, OverTime, Severity, Unanswered, Unit, Via);
read_by!(name: ServiceName, StageName, Version);
