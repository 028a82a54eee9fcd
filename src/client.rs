//! A client of the daemon for programs in Rust: a connection with its credentials, requests that are
//! recorded once however often they are sent, and a watch that goes on by itself after the daemon was
//! away.
//!
//! ```no_run
//! use strata::{client::Client, proto::GetPlanRequest};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let client = Client::at("https://plans.example:7421")?
//!     .authority_file("/etc/strata/ca.pem")
//!     .token_file("/run/secrets/strata-token")
//!     .connect()
//!     .await?;
//! let request = GetPlanRequest { plan_id: "growth".into(), ..Default::default() };
//! let plan = client.plans().get_plan(request).await?.into_inner().plan;
//! # Ok(())
//! # }
//! ```

use std::{fmt, sync::Arc, time::Duration};

use http::{Request, Response};
use tonic::{
    Status,
    body::Body,
    codegen::{Service, StdError},
    service::interceptor::InterceptedService,
};
use tower::{ServiceExt as _, util::BoxCloneSyncService};

use self::{
    address::{Address, BadAddress},
    connect::Builder,
    credentials::Credentials,
};
use crate::proto::{
    admin_service_client::AdminServiceClient, advice_service_client::AdviceServiceClient,
    audit_service_client::AuditServiceClient, history_service_client::HistoryServiceClient,
    plan_service_client::PlanServiceClient,
};

pub mod address;
pub mod connect;
pub mod credentials;
pub mod execute;
mod pause;
pub mod refusal;
mod secure;
pub mod watch;

/// The connection that the generated clients stand on: each call carries the credentials, and a
/// connection that broke is made again by the next call.
pub type Connection = InterceptedService<Carrier, Credentials>;

/// What carries a call to the services.
pub type Carrier = BoxCloneSyncService<Request<Body>, Response<Body>, Status>;

/// A client of one daemon. Cheap to clone; clones share the connection.
#[derive(Clone)]
pub struct Client {
    address: Arc<Address>,
    connection: Connection,
    /// What the calls over it show.
    credentials: Credentials,
    /// How long a call may take until it is answered.
    call_timeout: Duration,
    /// How long a daemon that is away is tried again.
    patience: Duration,
}

impl Client {
    /// A client of the daemon at a URL with a port, to be told more about before it connects.
    pub fn at(url: &str) -> Result<Builder, BadAddress> {
        Ok(Self::to(Address::parse(url)?))
    }

    /// The same with an address that was read before.
    pub fn to(address: Address) -> Builder {
        Builder::new(address)
    }

    /// A client of services that are in this process, as a daemon's own are and those of a test.
    pub fn over<S>(service: S) -> Self
    where
        S: Service<Request<Body>, Response = Response<Body>> + Clone + Send + Sync + 'static,
        S::Error: Into<StdError>,
        S::Future: Send + 'static,
    {
        Builder::new(Address::inside()).client(carrier(service), Credentials::none())
    }

    /// Where the daemon is.
    #[must_use]
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// The connection with its credentials, for a generated client that is set up otherwise.
    #[must_use]
    pub fn connection(&self) -> Connection {
        self.connection.clone()
    }

    /// Writes plans and shows what they are. To record something, [`Client::execute`] is safer.
    #[must_use]
    pub fn plans(&self) -> PlanServiceClient<Connection> {
        PlanServiceClient::new(self.connection())
    }

    /// Shows what happened. To follow what is recorded, [`Client::watch`] goes on by itself.
    #[must_use]
    pub fn history(&self) -> HistoryServiceClient<Connection> {
        HistoryServiceClient::new(self.connection())
    }

    /// Advises on plans.
    #[must_use]
    pub fn advice(&self) -> AdviceServiceClient<Connection> {
        AdviceServiceClient::new(self.connection())
    }

    /// Proves what was recorded.
    #[must_use]
    pub fn audit(&self) -> AuditServiceClient<Connection> {
        AuditServiceClient::new(self.connection())
    }

    /// Tells how the daemon is, and what operators may do.
    #[must_use]
    pub fn admin(&self) -> AdminServiceClient<Connection> {
        AdminServiceClient::new(self.connection())
    }
}

/// Where the daemon is; never who calls.
impl fmt::Debug for Client {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Client({})", self.address)
    }
}

fn carrier<S>(service: S) -> Carrier
where
    S: Service<Request<Body>, Response = Response<Body>> + Clone + Send + Sync + 'static,
    S::Error: Into<StdError>,
    S::Future: Send + 'static,
{
    BoxCloneSyncService::new(service.map_err(|error| Status::from_error(error.into())))
}
