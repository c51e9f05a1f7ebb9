//! What the tests share: servers, the proxy, and questions to ask them.
