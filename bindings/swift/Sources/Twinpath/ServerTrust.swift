import Foundation
internal import TwinpathCore

/// Decides whom TLS trusts, in place of the platform: where an app knows better than the device.
public protocol ServerTrust: Sendable {
    /// Returns if `chain` is trusted for `host`. The certificates are in DER, the server's own first, and what it has sent
    /// besides follows in its order. That the certificate is for `host`, and that the server has its key, is found out by the
    /// library. Whatever is thrown means that it is not trusted.
    ///
    /// It is called once for each handshake that resumes none, on a thread where it may wait.
    func check(chain: [Data], host: String) throws
}

/// A trust as the library calls it.
final class CalledTrust: TwinpathCore.ServerTrust {
    private let trust: any Twinpath.ServerTrust

    init(_ trust: any Twinpath.ServerTrust) {
        self.trust = trust
    }

    func isTrusted(chain: [Data], host: String) throws -> Bool {
        do {
            try trust.check(chain: chain, host: host)
            return true
        } catch {
            throw Failure.Failed(kind: .notPermitted, reason: "\(error)", osCode: nil, interruption: nil)
        }
    }
}
