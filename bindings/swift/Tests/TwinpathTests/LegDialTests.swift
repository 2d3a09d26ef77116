import Foundation
import XCTest

@testable import Twinpath

/// What becomes of attempts to connect, as Network.framework tells of them.
final class LegDialTests: XCTestCase {
    private let refused = DialSetback(kind: .other, message: "refused", osCode: ECONNREFUSED)
    private let down = DialSetback(kind: .other, message: "down", osCode: ENETDOWN)
    private let unreachable = DialSetback(kind: .other, message: "unreachable", osCode: EHOSTUNREACH)
    private let unknown = DialSetback(kind: .nameNotFound, message: "no such name")

    func testARefusalEndsTheDialAtOnceThoughTheSystemWouldWait() {
        for network in [LegDial.Network.present, .absent, .denied] {
            var dial = LegDial(addresses: 1)
            XCTAssertEqual(dial.begin(), [.begin(0)])
            XCTAssertEqual(dial.waits(0, refused, over: network), [.fail(refused)])
        }
    }

    func testWhatFailedOverANetworkThatIsThereEndsTheDial() {
        for setback in [unreachable, unknown, DialSetback(kind: .other, message: "late", osCode: ETIMEDOUT)] {
            var dial = LegDial(addresses: 1)
            _ = dial.begin()
            XCTAssertEqual(dial.waits(0, setback, over: .present), [.fail(setback)])
        }
    }

    func testANetworkThatIsNotThereYetIsWaitedFor() {
        for setback in [down, unreachable, unknown] {
            var dial = LegDial(addresses: 1)
            _ = dial.begin()
            XCTAssertEqual(dial.waits(0, setback, over: .absent), [])
            dial.goesOn(0)
            XCTAssertEqual(dial.waits(0, setback, over: .absent), [])
            XCTAssertEqual(dial.isReady(0), [.keep(0)])
        }
    }

    func testANetworkThatIsKeptFromTheAppIsNotWaitedFor() {
        var dial = LegDial(addresses: 1)
        _ = dial.begin()
        guard case .fail(let setback) = dial.waits(0, down, over: .denied).first else { return XCTFail("it waits") }
        XCTAssertEqual(setback.kind, .notPermitted)
        XCTAssertNil(setback.osCode)
    }

    func testAllAddressesAreTriedOneAfterTheOther() {
        var dial = LegDial(addresses: 3)
        XCTAssertEqual(dial.begin(), [.begin(0), .askLater(1)])
        // What is silent has company after a while.
        XCTAssertEqual(dial.later(than: 1), [.begin(1), .askLater(2)])
        // What has failed, at once; the time that ran for it means nothing then.
        XCTAssertEqual(dial.waits(1, refused, over: .present), [.begin(2)])
        XCTAssertEqual(dial.later(than: 2), [])
        XCTAssertEqual(dial.isReady(2), [.keep(2)])
        // Whatever comes later of the others.
        XCTAssertEqual(dial.isReady(0), [])
        XCTAssertEqual(dial.failed(1, refused), [])
        XCTAssertEqual(dial.later(than: 3), [])
    }

    func testTheErrorIsThatOfTheBestAddressAndNoneIsToldWhileOneIsTried() {
        var dial = LegDial(addresses: 3)
        _ = dial.begin()
        XCTAssertEqual(dial.waits(0, unreachable, over: .present), [.begin(1), .askLater(2)])
        XCTAssertEqual(dial.later(than: 2), [.begin(2)])
        XCTAssertEqual(dial.failed(2, refused), [])
        XCTAssertEqual(dial.failed(1, down), [.fail(unreachable)])
        XCTAssertEqual(dial.failed(1, down), [])
    }

    func testAnAddressWithoutAWayDoesNotKeepADialWaitingThatWasAnsweredByAnother() {
        // IPv6 has no route here, and the server refuses over IPv4.
        var dial = LegDial(addresses: 2)
        _ = dial.begin()
        XCTAssertEqual(dial.waits(0, down, over: .absent), [.begin(1)])
        XCTAssertEqual(dial.waits(1, refused, over: .present), [.fail(refused)])
        // Where nobody answers at all, it waits.
        dial = LegDial(addresses: 2)
        _ = dial.begin()
        XCTAssertEqual(dial.waits(0, down, over: .absent), [.begin(1)])
        XCTAssertEqual(dial.waits(1, down, over: .absent), [])
        dial.goesOn(1)
        XCTAssertEqual(dial.failed(1, unreachable), [])
        XCTAssertEqual(dial.isReady(0), [.keep(0)])
    }
}
