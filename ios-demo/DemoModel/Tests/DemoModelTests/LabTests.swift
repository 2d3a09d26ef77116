import Foundation
import Twinpath
import XCTest

@testable import DemoModel

// The test runner hands it over to the main actor.
final class LabTests: XCTestCase, @unchecked Sendable {
    override func tearDown() {
        Lab.order("wifi heal")
        Lab.order("cellular heal")
    }

    @MainActor private func model(_ server: String = Lab.gateway) -> DemoViewModel {
        let model = DemoViewModel()
        model.server = server
        model.budget = DemoViewModel.budgets.count - 1
        return model
    }

    /// Wi-Fi dies and comes back, in whatever way.
    @MainActor private func lives(_ model: DemoViewModel, dies: () -> Void, heals: () -> Void) async throws {
        model.start()
        await model.until { $0.chart.total.primary > 2_000_000 && $0.lastEcho != nil }
        XCTAssertEqual(model.state, .running)
        XCTAssertFalse(model.kinds.contains(.failover))
        await linger(model)
        dies()
        await model.until { $0.chart.total.backup > 2_000_000 && $0.kinds.contains(.failover) }
        await linger(model)
        heals()
        await model.until { $0.kinds.contains(.failback) }
        let before = model.chart.total.primary
        await model.until { $0.chart.total.primary > before + 2_000_000 }
        await linger(model)
        // On a busy machine there may be more suspicions than the one.
        let failover = try XCTUnwrap(model.kinds.firstIndex(of: .failover))
        XCTAssertTrue(model.kinds[..<failover].contains(.hedge))
        XCTAssertEqual(model.kinds.filter { $0 != .hedge }.prefix(2), [.failover, .failback])
        let stall = try XCTUnwrap(model.chart.markers[failover].stall)
        XCTAssertGreaterThan(stall, .milliseconds(1))
        XCTAssertLessThan(stall, .seconds(1))
        XCTAssertLessThan(model.worstEcho, .seconds(1))
        XCTAssertTrue(model.isProtected)
        XCTAssertEqual(model.modePhrase?.key, .modeBecause)
    }

    /// As long as whoever wants a picture of more than a moment asks for.
    @MainActor private func linger(_ model: DemoViewModel) async {
        let seconds = ProcessInfo.processInfo.environment["TWINPATH_DEMO_LINGER"].flatMap(Int.init) ?? 0
        let end = model.chart.start + .seconds(seconds)
        await model.until { $0.chart.start >= end }
    }

    @MainActor func testWifiThatDiesAndHealsIsSeenAsTheLinksHaveSeenIt() async throws {
        let model = model()
        model.budget = 5
        let (wifi, cellular) = (Lab.delivered("wifi"), Lab.delivered("cellular"))
        try await lives(model) { Lab.order("wifi blackhole") } heals: { Lab.order("wifi heal") }
        try Picture.draw(model)
        await model.stop()
        // The stream goes on into a dead path until that is noticed, for less than the second that is held above.
        near(model.chart.total.primary, Lab.delivered("wifi") - wifi, lost: Int64(GatewayWork.rate))
        near(model.chart.total.backup, Lab.delivered("cellular") - cellular, lost: 0)
    }

    /// What was under way when a link died or the demo was stopped may be counted at one end only: a queue of the link.
    private func near(_ counted: Int64, _ arrived: Int64, lost: Int64, line: UInt = #line) {
        let queue: Int64 = 128 * 1024
        XCTAssertGreaterThan(counted, arrived - queue, line: line)
        XCTAssertLessThan(counted, arrived + lost + queue, line: line)
        XCTAssertGreaterThan(arrived, 2_000_000, line: line)
    }

    @MainActor func testAFaultOnPurposeIsSeenAsATrueOne() async throws {
        let model = model()
        try await lives(model) { model.choose(.blackhole) } heals: { model.choose(.none) }
        XCTAssertEqual(model.fault, .none)
        await model.stop()
    }

    @MainActor func testAResetLosesNothing() async throws {
        let model = model()
        model.start()
        await model.until { $0.lastEcho != nil }
        model.choose(.reset)
        XCTAssertEqual(model.fault, .none)
        await model.until { $0.tells(.logLegDown) }
        let before = model.chart.total.sum
        await model.until { $0.chart.total.sum > before + 2_000_000 }
        await model.stop()
        XCTAssertEqual(model.state, .stopped)
    }

    @MainActor func testADelayIsSeenInTheEchoOrLeadsItOverCellular() async throws {
        let model = model()
        model.start()
        await model.until { $0.lastEcho != nil }
        model.choose(.delayed)
        XCTAssertEqual(model.fault, .delayed)
        // Both ways, or one of them and back over cellular; such a step may pass for a dead path as well.
        await model.until { $0.lastEcho! > .milliseconds(300) || $0.kinds.contains(.failover) }
        await model.stop()
        XCTAssertEqual(model.fault, .none)
    }

    @MainActor func testADownloadFromAnyServerGoesOnOverCellular() async throws {
        let model = model("\(Lab.http)file?size=6000000")
        model.start()
        await model.until { $0.chart.total.primary > 2_000_000 && $0.lastEcho != nil }
        Lab.order("wifi blackhole")
        await model.until { $0.kinds.contains(.failover) && $0.chart.total.backup > 2_000_000 }
        XCTAssertEqual(model.protectionPhrase, Phrase(.requests))
        XCTAssertEqual(model.modePhrase, Phrase(.plainPair))
        let log = model.log.text(in: try Texts.language("en"))
        XCTAssertTrue(log.contains("download: a request went on over the other path"), log)
        await model.stop()
    }

    @MainActor func testWhenItIsStoppedNothingGoesOn() async throws {
        let before = Lab.sockets
        weak var gone: DemoViewModel?
        do {
            let model = model()
            gone = model
            model.start()
            await model.until { $0.chart.total.primary > 1_000_000 }
            XCTAssertGreaterThan(Lab.sockets, before)
            await model.stop()
            XCTAssertEqual(model.state, .stopped)
            XCTAssertFalse(model.isActive)
            let log = model.log.text(in: try Texts.language("en"))
            XCTAssertEqual(log.matches(of: /: ended. Failovers: 0/).count, 2, log)
            XCTAssertFalse(log.contains(Lab.host), log)
        }
        // What was awaited is let go of a moment after its end.
        let patience = ContinuousClock.now + .seconds(10)
        while gone != nil, .now < patience { try await Task.sleep(for: .milliseconds(5)) }
        XCTAssertNil(gone)
        while Lab.sockets > before { try await Task.sleep(for: .milliseconds(5)) }
    }

    @MainActor func testItCanBeStoppedWhileNoPathLeadsAnywhere() async throws {
        Lab.order("wifi blackhole")
        Lab.order("cellular blackhole")
        let model = model()
        model.start()
        let begun = model.chart.start
        await model.until { $0.chart.start > begun }
        XCTAssertEqual(model.state, .connecting)
        let took = await ContinuousClock().measure { await model.stop() }
        XCTAssertEqual(model.state, .stopped)
        XCTAssertLessThan(took, .seconds(1))
    }

    @MainActor func testAScreenMadeAnewShowsTheSameSessionAndStartsNoOther() async throws {
        let model = model()
        model.start()
        await model.until { $0.chart.total.primary > 1_000_000 }
        let lines = model.log.entries.count
        // As a screen that appears asks for it again.
        model.start()
        let before = model.chart.total.primary
        await model.until { $0.chart.total.primary > before + 1_000_000 }
        XCTAssertEqual(model.log.entries.count, lines)
        await model.stop()
    }

    @MainActor func testTheBudgetClosesCellularAndCanBeRaised() async throws {
        let model = model()
        model.budget = 0
        model.start()
        await model.until { $0.chart.total.primary > 1_000_000 }
        Lab.order("wifi blackhole")
        await model.until { $0.tells(.logBudget) && $0.used > 0 }
        XCTAssertLessThanOrEqual(model.used, 1_000_000)
        XCTAssertGreaterThan(model.budgetShare, 0)
        model.budget = 8
        await model.until { $0.used > 2_000_000 }
        await model.stop()
        // What was spent is not forgotten.
        let spent = model.used
        Lab.order("wifi heal")
        model.start()
        await model.until { $0.lastEcho != nil }
        XCTAssertGreaterThanOrEqual(model.used, spent)
        await model.stop()
    }

    @MainActor func testWhatCannotWorkFailsInWordsThatSayWhy() async throws {
        let web = Lab.http.dropFirst("http://".count).dropLast()
        for (server, key) in [
            ("", Key.invalidServer), (String(web), .notAGateway), ("\(Lab.http)status?code=404", .wrongStatus),
            (String(web.replacing(/:\d+/, with: ":1")), .refused),
        ] {
            let model = model(server)
            model.start()
            while model.isActive { try await Task.sleep(for: .milliseconds(5)) }
            XCTAssertEqual(model.statePhrase, Phrase(.failed, .phrase(Phrase(key))), server)
            let log = model.log.text(in: try Texts.language("en"))
            XCTAssertFalse(log.contains(Lab.host), log)
        }
    }
}
