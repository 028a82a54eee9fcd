//! The one table of rights: role x RPC x command kind. Everything else asks it.

/// What a principal may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Reads plans, their history, and advice on them.
    Reader,
    /// Reads, and records what happens to plans.
    Planner,
    /// Reads, and proves that the record was not rewritten.
    Auditor,
    /// Sees how the daemon is, takes backups and settles what needs a person.
    Operator,
}

/// A call that can be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "named as in the published language")]
pub enum Rpc {
    Execute,
    ExecuteStream,
    GetPlan,
    ListPlans,
    ListEvents,
    ReadLog,
    Watch,
    DiffPlan,
    ListRevisions,
    Explain,
    SuggestTactic,
    ReviewPlan,
    ListCommitments,
    GetReliability,
    GetTacticStats,
    AssessStrategy,
    SearchTactics,
    GetCheckpoint,
    ProveInclusion,
    ProveConsistency,
    ReadRaw,
    GetStatus,
    Backup,
    ConfirmClock,
    SetLogFilter,
    /// Server reflection, v1 and v1alpha: the published language, no plan.
    Reflection,
}

/// The commands that record what happens to a plan. Everyone who may write a plan may correct it: the
/// record keeps both.
const COMMANDS_OF_PLANNERS: [&str; 41] = [
    "create_plan",
    "describe_plan",
    "archive_plan",
    "reopen_plan",
    "set_objective",
    "mark_objective_met",
    "define_indicator",
    "replace_indicator",
    "retire_indicator",
    "record_measurement",
    "state_assumption",
    "record_evidence",
    "conclude_assumption",
    "reopen_assumption",
    "adopt_strategy",
    "revise_strategy",
    "propose_revision",
    "decline_revision",
    "branch_strategy",
    "supersede_strategy",
    "abandon_strategy",
    "fulfil_strategy",
    "add_tactic",
    "reword_tactic",
    "regroup_tactic",
    "retire_tactic",
    "rank_tactics",
    "try_tactic",
    "fail_tactic",
    "succeed_tactic",
    "stop_tactic",
    "make_commitment",
    "reassign_commitment",
    "release_commitment",
    "move_deadline",
    "keep_commitment",
    "miss_commitment",
    "correct_event",
    "retract_event",
    "acknowledge_finding",
    "record_note",
];

/// Commands that the daemon's clock sends by itself; only operators may send one.
const COMMANDS_OF_THE_CLOCK: [&str; 1] = ["lapse_commitment"];

impl Role {
    /// All roles.
    pub const ALL: [Self; 4] = [Self::Reader, Self::Planner, Self::Auditor, Self::Operator];

    /// Its name, in configuration and tokens.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Reader => "reader",
            Self::Planner => "planner",
            Self::Auditor => "auditor",
            Self::Operator => "operator",
        }
    }

    /// The role of a name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.name() == name)
    }

    /// Whether it may make a call.
    #[must_use]
    pub const fn may_call(self, rpc: Rpc) -> bool {
        match rpc {
            Rpc::Execute | Rpc::ExecuteStream => matches!(self, Self::Planner | Self::Operator),
            Rpc::GetPlan
            | Rpc::ListPlans
            | Rpc::ListEvents
            | Rpc::ReadLog
            | Rpc::Watch
            | Rpc::DiffPlan
            | Rpc::ListRevisions
            | Rpc::Explain
            | Rpc::SuggestTactic
            | Rpc::ReviewPlan
            | Rpc::ListCommitments
            | Rpc::GetReliability
            | Rpc::GetTacticStats
            | Rpc::AssessStrategy
            | Rpc::SearchTactics => matches!(self, Self::Reader | Self::Planner | Self::Auditor),
            Rpc::GetCheckpoint => matches!(self, Self::Auditor | Self::Operator),
            Rpc::ProveInclusion | Rpc::ProveConsistency | Rpc::ReadRaw => {
                matches!(self, Self::Auditor)
            }
            Rpc::GetStatus => matches!(self, Self::Auditor | Self::Operator),
            Rpc::Backup | Rpc::ConfirmClock | Rpc::SetLogFilter => matches!(self, Self::Operator),
            Rpc::Reflection => true,
        }
    }

    /// Whether it may send a command, by the name of its field in `Command`.
    #[must_use]
    pub fn may_command(self, command: &str) -> bool {
        match self {
            Self::Planner => COMMANDS_OF_PLANNERS.contains(&command),
            Self::Operator => COMMANDS_OF_THE_CLOCK.contains(&command),
            Self::Reader | Self::Auditor => false,
        }
    }
}

impl Rpc {
    /// All calls that [`Rpc::of`] knows.
    pub const ALL: [Self; 26] = [
        Self::Execute,
        Self::ExecuteStream,
        Self::GetPlan,
        Self::ListPlans,
        Self::ListEvents,
        Self::ReadLog,
        Self::Watch,
        Self::DiffPlan,
        Self::ListRevisions,
        Self::Explain,
        Self::SuggestTactic,
        Self::ReviewPlan,
        Self::ListCommitments,
        Self::GetReliability,
        Self::GetTacticStats,
        Self::AssessStrategy,
        Self::SearchTactics,
        Self::GetCheckpoint,
        Self::ProveInclusion,
        Self::ProveConsistency,
        Self::ReadRaw,
        Self::GetStatus,
        Self::Backup,
        Self::ConfirmClock,
        Self::SetLogFilter,
        Self::Reflection,
    ];

    /// Whether it is about the whole log or the whole daemon, and tells or changes more than hashes and
    /// figures: only a role over all plans may make it.
    #[must_use]
    pub const fn needs_all_plans(self) -> bool {
        matches!(
            self,
            Self::ReadRaw | Self::Backup | Self::ConfirmClock | Self::SetLogFilter
        )
    }

    /// Its name in the published language.
    #[must_use]
    pub fn name(self) -> &'static str {
        let path = self.path();
        path.rsplit_once('/').map_or(path, |(_, name)| name)
    }

    /// The path of its requests; of reflection the path of v1.
    #[must_use]
    pub const fn path(self) -> &'static str {
        match self {
            Self::Execute => "/strata.v1.PlanService/Execute",
            Self::ExecuteStream => "/strata.v1.PlanService/ExecuteStream",
            Self::GetPlan => "/strata.v1.PlanService/GetPlan",
            Self::ListPlans => "/strata.v1.PlanService/ListPlans",
            Self::ListEvents => "/strata.v1.HistoryService/ListEvents",
            Self::ReadLog => "/strata.v1.HistoryService/ReadLog",
            Self::Watch => "/strata.v1.HistoryService/Watch",
            Self::DiffPlan => "/strata.v1.HistoryService/DiffPlan",
            Self::ListRevisions => "/strata.v1.HistoryService/ListRevisions",
            Self::Explain => "/strata.v1.HistoryService/Explain",
            Self::SuggestTactic => "/strata.v1.AdviceService/SuggestTactic",
            Self::ReviewPlan => "/strata.v1.AdviceService/ReviewPlan",
            Self::ListCommitments => "/strata.v1.AdviceService/ListCommitments",
            Self::GetReliability => "/strata.v1.AdviceService/GetReliability",
            Self::GetTacticStats => "/strata.v1.AdviceService/GetTacticStats",
            Self::AssessStrategy => "/strata.v1.AdviceService/AssessStrategy",
            Self::SearchTactics => "/strata.v1.AdviceService/SearchTactics",
            Self::GetCheckpoint => "/strata.v1.AuditService/GetCheckpoint",
            Self::ProveInclusion => "/strata.v1.AuditService/ProveInclusion",
            Self::ProveConsistency => "/strata.v1.AuditService/ProveConsistency",
            Self::ReadRaw => "/strata.v1.AuditService/ReadRaw",
            Self::GetStatus => "/strata.v1.AdminService/GetStatus",
            Self::Backup => "/strata.v1.AdminService/Backup",
            Self::ConfirmClock => "/strata.v1.AdminService/ConfirmClock",
            Self::SetLogFilter => "/strata.v1.AdminService/SetLogFilter",
            Self::Reflection => "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
        }
    }

    /// The call that a request's path names. `None`: nothing that is served, or health.
    #[must_use]
    pub fn of(path: &str) -> Option<Self> {
        if path == "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo" {
            return Some(Self::Reflection);
        }
        Self::ALL.into_iter().find(|rpc| rpc.path() == path)
    }
}

#[cfg(test)]
mod tests;
