import TwinpathCore
import XCTest

/// What the library exports and the API of Swift does without.
final class CoreTests: LabTestCase {
    private var options: ConnectorOptions {
        ConnectorOptions(service: .handover, standby: .warm, peer: .gateway)
    }
    private var gateway: String { "\(Lab.gatewayHost):\(Lab.gatewayPort)" }

    func testALegOverCellularIsToldAndItsEnd() async throws {
        let use = Use()
        let connector = try Connector(options: options, hooks: Hooks(cellular: use))
        let connection = try await connector.connect(target: gateway, cancellation: nil)
        while use.count == 0 { try await pause(5) }
        XCTAssertEqual(use.count, 1)
        try connection.abort()
        while use.count == 1 { try await pause(5) }
        XCTAssertEqual(use.count, 0)
    }

    func testAConnectionThatIsLeftDeliversAndMissesNothing() async throws {
        let connection = try await Connector(options: options, hooks: Hooks()).connect(target: gateway, cancellation: nil)
        let events = try connection.events()
        XCTAssertEqual(try connection.tryWrite(data: Data("bye".utf8)), 3)
        try connection.leave()
        XCTAssertThrowsError(try connection.tryWrite(data: Data("more".utf8)))
        var written: UInt64?
        while written == nil {
            switch try events.tryNext() {
            case .happened(.ended(let summary)): written = summary.written
            case .happened: break
            case .notYet: try await events.ready(cancellation: nil)
            case .over: return XCTFail("there was no account")
            }
        }
        XCTAssertEqual(written, 3)
        XCTAssertEqual(try events.missed(), 0)
    }
}

private final class Use: CellularUse, @unchecked Sendable {
    private let lock = NSLock()
    private var legs = 0
    var count: Int { lock.withLock { legs } }

    func begin() throws { lock.withLock { legs += 1 } }
    func end() throws { lock.withLock { legs -= 1 } }
}
