import Foundation
import XCTest

@testable import Twinpath

final class LegsTests: LabTestCase {
    override func tearDown() {
        try? TwinpathLibrary.setNetworks(nil)
        super.tearDown()
    }

    func testLegsOfThePlatformCarryAStreamThroughTheDeathOfWifi() async throws {
        let dialled = Dialled()
        let connection = try await connector { $0.dialer = Recording(dialled) }.toGateway()
        let data = pattern(3_000_000)
        try await connection.write(data.prefix(1_500_000))
        let first = try await connection.read(exactly: 1_000_000)
        Lab.order("wifi blackhole")
        try await connection.write(data.dropFirst(1_500_000))
        let rest = try await connection.read(exactly: 2_000_000)
        XCTAssertEqual(first + rest, data)
        XCTAssertEqual(try connection.stats.active, .backup)
        _ = try await connection.close()
        let wifi = try XCTUnwrap(dialled.targets.first { $0.role == .primary })
        let cellular = try XCTUnwrap(dialled.targets.first { $0.role == .backup })
        XCTAssertEqual([wifi.interface?.name, cellular.interface?.name], ["wlan0", "wwan0"])
        XCTAssertEqual([wifi.interface?.kind, cellular.interface?.kind], [.wifi, .cellular])
        XCTAssertEqual(Int(wifi.port), Lab.gatewayPort)
        // The server that the first leg reached, whatever its name stands for.
        XCTAssertEqual(cellular.addresses, [Lab.gatewayHost])
        // Every leg was closed, and once.
        while dialled.open > 0 { try await pause(5) }
        try await pause(100)
        XCTAssertEqual(dialled.open, 0)
    }

    func testWhatADialerSaysOrThrowsIsWhatAConnectFailsWith() async throws {
        func failing(_ dial: @escaping @Sendable (LegPipe) throws -> Void) async -> TwinpathError? {
            await failure { try await connector { $0.dialer = Failing(dial) }.toGateway() }
        }
        let refused = await failing { $0.failed(.refused, "nobody listens") }
        XCTAssertEqual(refused?.kind, .refused)
        let unknown = await failing { $0.failed(.nameNotFound, "who?") }
        XCTAssertEqual(unknown?.kind, .nameNotFound)
        let unreachable = await failing { $0.failed(.other, "by its number", osCode: ENETUNREACH) }
        XCTAssertEqual(unreachable?.kind, .unreachable)
        XCTAssertEqual(unreachable?.osCode, Int(ENETUNREACH))
        let thrown = await failing { _ in throw CocoaError(.featureUnsupported) }
        XCTAssertNotNil(thrown)
    }

    func testALegThatGivesNoBytesFailsAndIsNotAskedForEver() async throws {
        let asked = Asked()
        let options = anyServer { ($0.dialer, $0.mode) = (Empty(asked), .plainPair) }
        let connection = try await TwinpathConnector(options).toGateway()
        let lost = await failure { while try await connection.read() != nil {} }
        XCTAssertNotNil(lost)
        connection.abort()
        // Each leg once, of the few that were tried.
        XCTAssertTrue((1...8).contains(asked.count), "\(asked.count)")
    }

    func testMptcpOfThePlatformCarriesAConnectionToAServerAndIsNotSaidToProtectIt() async throws {
        // The kernel has a backup for MPTCP for as long as a connection of the library's own wants one.
        var own = TwinpathOptions()
        own.budgetPerDay = nil
        let keeper = try await TwinpathConnector(own).toGateway()
        let kept = try keeper.stats
        XCTAssertEqual(kept.mode, .kernelMptcp, kept.modeReason)
        let dialled = Dialled()
        let entitled = try TwinpathConnector(
            anyServer {
                $0.dialer = Recording(dialled)
                $0.hasMultipathEntitlement = true
                $0.service = .interactive
                $0.budgetPerDay = nil
            })
        let connection = try await entitled.toGateway()
        let stats = try connection.stats
        XCTAssertEqual(stats.mode, .kernelMptcp)
        XCTAssertTrue(stats.modeReason.contains("system"), stats.modeReason)
        XCTAssertFalse(stats.protection.isProtected)
        XCTAssertTrue(stats.protection.description.contains("does not tell"), stats.protection.description)
        XCTAssertEqual(dialled.multipath, [.interactive])
        XCTAssertEqual(dialled.targets.map(\.interface), [nil])
        let data = pattern(600_000)
        try await connection.write(data.prefix(300_000))
        let first = try await connection.read(exactly: 300_000)
        // Only what is MPTCP goes on.
        Lab.order("wifi blackhole")
        try await connection.write(data.dropFirst(300_000))
        let rest = try await connection.read(exactly: 300_000)
        XCTAssertEqual(first + rest, data)
        _ = try await connection.close()
        keeper.abort()
    }

    func testWithoutTheEntitlementOrMptcpTheLibrarysOwnLegsServeAndSayWhy() async throws {
        let dialled = Dialled()
        func modeAndReason(_ dialer: any LegDialer, _ isEntitled: Bool) async throws -> (Mode, String) {
            let options = anyServer { ($0.dialer, $0.hasMultipathEntitlement) = (dialer, isEntitled) }
            let connection = try await TwinpathConnector(options).toGateway()
            defer { connection.abort() }
            return (try connection.stats.mode, try connection.stats.modeReason)
        }
        let without = try await modeAndReason(Recording(dialled), false)
        XCTAssertEqual(without.0, .plainPair)
        XCTAssertEqual(dialled.multipath, [])
        let withNone = try await modeAndReason(PlainOnly(), true)
        XCTAssertEqual(withNone.0, .plainPair)
        XCTAssertTrue(withNone.1.contains("opens no MPTCP connections"), withNone.1)
    }

    func testWhatThePlatformTellsOfNetworksGoesBeforeWhatTheSystemSays() async throws {
        func network(_ name: String, _ kind: InterfaceKind, _ cost: Cost = .unknown) -> TwinpathNetwork {
            TwinpathNetwork(
                name: name, kind: kind, cost: cost, addresses: addresses(of: name), hasIPv4: true, hasIPv6: false)
        }
        try TwinpathLibrary.setNetworks([network("wlan0", .wifi)])
        let connector = try connector { $0.budgetPerDay = 1_000_000 }
        let connection = try await connector.toGateway()
        XCTAssertEqual(try connection.stats.mode, .singlePath)
        try TwinpathLibrary.setNetworks([network("wlan0", .wifi), network("wwan0", .cellular, .metered)])
        while try !connection.stats.protection.isProtected { try await pause(5) }
        try TwinpathLibrary.setNetworks([network("wlan0", .wifi), network("wwan0", .cellular, .roaming)])
        // Nothing is spent abroad.
        while try connector.budget.remaining != 0 { try await pause(5) }
        connection.abort()
        XCTAssertThrowsError(
            try TwinpathLibrary.setNetworks([TwinpathNetwork(name: "x", kind: .wifi, addresses: ["no address"])])
        ) { XCTAssertEqual(($0 as? TwinpathError)?.kind, .invalidInput) }
    }

    func testAMandatedProxyHasConnectionsTakeTheWayOfTheSystem() async throws {
        try TwinpathLibrary.setProxyMandated(true)
        defer { try? TwinpathLibrary.setProxyMandated(false) }
        let connection = try await connector().toGateway()
        XCTAssertEqual(try connection.stats.mode, .singlePath)
        XCTAssertTrue(try connection.stats.modeReason.contains("proxy"))
        connection.abort()
    }
}

private final class Dialled: @unchecked Sendable {
    private let lock = NSLock()
    private var all: [LegTarget] = []
    private var services: [ServiceType] = []
    private var count = 0
    var targets: [LegTarget] { lock.withLock { all } }
    var multipath: [ServiceType] { lock.withLock { services } }
    var open: Int { lock.withLock { count } }

    func add(_ target: LegTarget, _ service: ServiceType? = nil) {
        lock.withLock {
            all.append(target)
            if let service { services.append(service) }
            count += 1
        }
    }

    func close() { lock.withLock { count -= 1 } }
}

private struct Recording: LegDialer {
    let dialled: Dialled

    init(_ dialled: Dialled) { self.dialled = dialled }

    func dial(_ target: LegTarget, pipe: LegPipe) throws -> any PlatformLeg {
        dialled.add(target)
        return Recorded(try PosixDialer().dial(target, pipe: pipe), dialled)
    }

    func dialMultipath(_ target: LegTarget, service: ServiceType, pipe: LegPipe) throws -> any PlatformLeg {
        dialled.add(target, service)
        return Recorded(try PosixDialer().dialMultipath(target, service: service, pipe: pipe), dialled)
    }
}

private struct PlainOnly: LegDialer {
    func dial(_ target: LegTarget, pipe: LegPipe) throws -> any PlatformLeg {
        try PosixDialer().dial(target, pipe: pipe)
    }
}

private final class Recorded: PlatformLeg {
    private let leg: any PlatformLeg
    private let dialled: Dialled

    init(_ leg: any PlatformLeg, _ dialled: Dialled) { (self.leg, self.dialled) = (leg, dialled) }

    func send(_ bytes: Data) { leg.send(bytes) }
    func receive(max: Int) { leg.receive(max: max) }
    func finish() { leg.finish() }
    func close(aborted: Bool) {
        dialled.close()
        leg.close(aborted: aborted)
    }
}

private struct Failing: LegDialer {
    let dial: @Sendable (LegPipe) throws -> Void

    init(_ dial: @escaping @Sendable (LegPipe) throws -> Void) { self.dial = dial }

    func dial(_ target: LegTarget, pipe: LegPipe) throws -> any PlatformLeg {
        try dial(pipe)
        return Idle()
    }
}

private final class Asked: @unchecked Sendable {
    private let lock = NSLock()
    private var times = 0
    var count: Int { lock.withLock { times } }

    func again() -> Int {
        lock.withLock {
            times += 1
            return times
        }
    }
}

/// Says that it is open, and answers with nothing at once, whenever it is asked; up to a bound, so that this ends.
private struct Empty: LegDialer {
    let asked: Asked

    init(_ asked: Asked) { self.asked = asked }

    func dial(_ target: LegTarget, pipe: LegPipe) throws -> any PlatformLeg {
        pipe.connected(peer: nil, rtt: nil)
        return Leg(pipe: pipe, asked: asked)
    }

    private final class Leg: PlatformLeg {
        private let pipe: LegPipe
        private let asked: Asked

        init(pipe: LegPipe, asked: Asked) { (self.pipe, self.asked) = (pipe, asked) }

        func send(_ bytes: Data) { pipe.sent(bytes.count) }
        func receive(max: Int) { asked.again() < 1000 ? pipe.received(Data()) : pipe.failed(.reset, "asked too often") }
        func finish() {}
        func close(aborted: Bool) {}
    }
}

/// Does nothing.
private final class Idle: PlatformLeg {
    func send(_ bytes: Data) {}
    func receive(max: Int) {}
    func finish() {}
    func close(aborted: Bool) {}
}

private func addresses(of name: String) -> [String] {
    var all: UnsafeMutablePointer<ifaddrs>?
    guard getifaddrs(&all) == 0 else { return [] }
    defer { freeifaddrs(all) }
    var found: [String] = []
    var next = all
    while let one = next?.pointee {
        next = one.ifa_next
        guard String(cString: one.ifa_name) == name, let address = one.ifa_addr, address.pointee.sa_family == AF_INET
        else { continue }
        found.append(numeric(address, socklen_t(MemoryLayout<sockaddr_in>.size)))
    }
    return found
}
