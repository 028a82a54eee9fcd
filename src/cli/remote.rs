//! The daemon at the other end of a client command: where it is, how it is reached, and what it
//! refuses, with what to say on the command line about it.

use std::{env, fmt, path::PathBuf, time::Duration};

use clap::Args;

use crate::{
    access::rights::{Role, Rpc},
    client::{
        Client,
        address::{Address, BadAddress},
        connect::{Builder, ConnectError},
        refusal::Refusal,
    },
    proto::ErrorReason,
};

/// The variables that stand in for flags of client commands. They begin like those of the daemon, which
/// is not told by them.
pub const VARIABLES: [&str; 2] = [CA_FILE_VARIABLE, TOKEN_FILE_VARIABLE];

const CA_FILE_VARIABLE: &str = "STRATA_CA_FILE";
const TOKEN_FILE_VARIABLE: &str = "STRATA_TOKEN_FILE";

/// A daemon, and how it is reached.
#[derive(Debug, Clone)]
pub struct Remote {
    place: Place,
}

#[derive(Debug, Clone)]
enum Place {
    /// At an address.
    At(Address, Way),
    /// In this process.
    Inside(Client),
}

/// How a daemon is reached: whom to trust there, and who calls.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "How the daemon is reached")]
pub struct Way {
    /// Trust the certificate authorities in this PEM file, and no others, for https://. Without it those
    /// that the system trusts [env: `STRATA_CA_FILE`]
    #[arg(long, value_name = "FILE")]
    pub ca_file: Option<PathBuf>,
    /// Say who calls by the token in this file; it is read for each call [env: `STRATA_TOKEN_FILE`]
    #[arg(long, value_name = "FILE")]
    pub token_file: Option<PathBuf>,
    /// Say who calls by the certificate in this PEM file, for https://
    #[arg(long, value_name = "FILE", requires = "client_key_file")]
    pub client_cert_file: Option<PathBuf>,
    /// The key of that certificate, in PEM
    #[arg(long, value_name = "FILE", requires = "client_cert_file")]
    pub client_key_file: Option<PathBuf>,
}

/// Why a daemon cannot be reached.
#[derive(Debug, thiserror::Error)]
#[error("{0}{advice}", advice = advice_on(.0))]
pub struct Unreachable(#[from] ConnectError);

impl Unreachable {
    /// Whether it may be reached a little later, without anything else being said.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        self.0.is_passing()
    }
}

impl Remote {
    /// Reads a URL with a port; `http://` may be left out.
    pub fn parse(text: &str) -> Result<Self, BadAddress> {
        let address = Address::parse(text)?;
        let place = Place::At(address, Way::default());
        Ok(Self { place })
    }

    /// The daemon that runs in this process.
    #[must_use]
    pub fn inside(client: Client) -> Self {
        let place = Place::Inside(client);
        Self { place }
    }

    /// The same daemon, reached in the way that the flags say or else the variables.
    #[must_use]
    pub fn by(&self, way: &Way) -> Self {
        let place = match &self.place {
            Place::At(address, _) => Place::At(address.clone(), way.completed(address.is_secure())),
            Place::Inside(client) => Place::Inside(client.clone()),
        };
        Self { place }
    }

    /// Its URL.
    #[must_use]
    pub fn url(&self) -> String {
        match &self.place {
            Place::At(address, _) => address.to_string(),
            Place::Inside(_) => "the daemon itself".to_owned(),
        }
    }

    /// Opens a connection.
    pub async fn connect(&self) -> Result<Client, Unreachable> {
        match &self.place {
            Place::At(address, way) => Ok(way.to(address).connect().await?),
            Place::Inside(client) => Ok(client.clone()),
        }
    }
}

impl Way {
    fn to(&self, address: &Address) -> Builder {
        // Who asks at a terminal sees that it takes long, and can end it.
        let mut builder = Client::to(address.clone()).call_timeout(Duration::MAX);
        if let Some(path) = &self.ca_file {
            builder = builder.authority_file(path);
        }
        if let Some(path) = &self.token_file {
            builder = builder.token_file(path);
        }
        if let (Some(certificate), Some(key)) = (&self.client_cert_file, &self.client_key_file) {
            builder = builder.identity_files(certificate, key);
        }
        builder
    }

    /// With the variables where there are no flags; that of authorities counts where there is TLS.
    fn completed(&self, is_secure: bool) -> Self {
        let variable = |name: &str| env::var_os(name).filter(|value| !value.is_empty());
        let of = |flag: &Option<PathBuf>, name: &str| {
            flag.clone().or_else(|| variable(name).map(PathBuf::from))
        };
        let ca_file = if is_secure {
            of(&self.ca_file, CA_FILE_VARIABLE)
        } else {
            self.ca_file.clone()
        };
        Self {
            ca_file,
            token_file: of(&self.token_file, TOKEN_FILE_VARIABLE),
            ..self.clone()
        }
    }
}

/// A refusal in words, with what can be done about it on the command line.
#[must_use]
pub fn words(refusal: &Refusal) -> impl fmt::Display {
    let advice = match refusal.known_reason() {
        Some(ErrorReason::CredentialsRequired) => "\nsay who calls: --token-file FILE, or \
             --client-cert-file and --client-key-file; `stratad token` makes tokens"
            .to_owned(),
        Some(ErrorReason::CredentialsInvalid) => {
            "\nsee whether --token-file or --client-cert-file names the right one, for this daemon"
                .to_owned()
        }
        Some(ErrorReason::NotPermitted) => roles_for(refusal),
        // A connection that was made again: the first one is refused while it is made.
        None if refusal.is_broken_connection
            && refusal.message.contains("received fatal alert") =>
        {
            "\nsee whether --client-cert-file names a certificate that is good now".to_owned()
        }
        // All others say themselves what to do.
        _ => String::new(),
    };
    format!("{refusal}{advice}")
}

/// Which roles may do what was refused.
fn roles_for(refusal: &Refusal) -> String {
    let rpc = refusal
        .value("rpc")
        .and_then(|name| Rpc::ALL.into_iter().find(|rpc| rpc.name() == name));
    // Where it is not about one command, those that people send count, and not those of the clock.
    let records = matches!(rpc, Some(Rpc::Execute | Rpc::ExecuteStream));
    let command = refusal
        .value("command")
        .or(records.then_some("create_plan"));
    let may = |role: &Role| {
        rpc.is_some_and(|rpc| role.may_call(rpc)) && command.is_none_or(|it| role.may_command(it))
    };
    let roles: Vec<_> = Role::ALL.into_iter().filter(may).map(Role::name).collect();
    if roles.is_empty() {
        return String::new();
    }
    let plan = refusal
        .value("plan_id")
        .map(|plan_id| format!(" for plan {plan_id:?}"))
        .unwrap_or_default();
    format!("\nit takes the role {}{plan}", roles.join(" or "))
}

fn advice_on(error: &ConnectError) -> &'static str {
    match error {
        // Of what has expired or is another's, no authority helps.
        ConnectError::Untrusted {
            is_of_unknown_issuer: true,
            ..
        } => "\nsay --ca-file FILE with the certificate of the authority that signed it",
        ConnectError::Unnamed { .. } => "\nsay who calls: --client-cert-file and --client-key-file",
        ConnectError::Unrecognized { .. } => {
            "\nsee whether --client-cert-file names one that is good now, and signed by an authority \
             that the daemon believes (tls_client_ca_file)"
        }
        ConnectError::Untrusted { .. }
        | ConnectError::Unreachable { .. }
        | ConnectError::NotSecure { .. }
        | ConnectError::Unreadable { .. }
        | ConnectError::Pem { .. }
        | ConnectError::Token(_)
        | ConnectError::InTheClear { .. }
        | ConnectError::NoTls { .. } => "",
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use tonic::{Code, Status};
    use tonic_types::{ErrorDetails, StatusExt as _};

    use super::*;

    fn told(code: Code, reason: &str, metadata: &[(&str, &str)]) -> String {
        let metadata: HashMap<String, String> = metadata
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect();
        let details = ErrorDetails::with_error_info(reason, "strata.v1", metadata);
        let status = Status::with_error_details(code, "No.", details);
        words(&Refusal::from(&status)).to_string()
    }

    #[test]
    fn a_refused_caller_is_told_by_which_flag_to_say_who_calls() {
        let told = told(Code::Unauthenticated, "CREDENTIALS_REQUIRED", &[]);
        assert!(told.contains("--token-file"), "{told}");
    }

    #[test]
    fn a_forbidden_call_is_told_the_role_that_it_takes() {
        let rpc = ("rpc", "Backup");
        let told_of_backup = told(Code::PermissionDenied, "NOT_PERMITTED", &[rpc]);
        assert!(
            told_of_backup.ends_with("it takes the role operator"),
            "{told_of_backup}"
        );
        let metadata = [
            ("rpc", "Execute"),
            ("command", "record_note"),
            ("plan_id", "growth"),
        ];
        let told_of_note = told(Code::PermissionDenied, "NOT_PERMITTED", &metadata);
        assert!(
            told_of_note.ends_with("it takes the role planner for plan \"growth\""),
            "{told_of_note}"
        );
        let rpc = ("rpc", "ExecuteStream");
        let told_of_import = told(Code::PermissionDenied, "NOT_PERMITTED", &[rpc]);
        assert!(
            told_of_import.ends_with("it takes the role planner"),
            "{told_of_import}"
        );
    }
}
