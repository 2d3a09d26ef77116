import Foundation

/// Why an attempt to connect does not go on, as it is told to a ``LegPipe``.
struct DialSetback: Equatable, Sendable {
    let kind: TwinpathError.Kind
    let message: String
    var osCode: Int32?
}

/// Decides, for connections of the system's, which address is tried when, which attempt is kept, and when none can succeed.
///
/// The system never gives up by itself: what it could not connect waits for the network to change, be it that there is none
/// yet or that the server has refused. To wait helps in the first case alone. For how long is for the library to say, which
/// closes legs that it no longer wants.
struct LegDial: Sendable {
    enum Step: Equatable, Sendable {
        /// Try the address of that place.
        case begin(Int)
        /// Call ``later(than:)`` with that number after ``stagger``.
        case askLater(Int)
        /// This one it is; let go of the others.
        case keep(Int)
        /// None of them will do.
        case fail(DialSetback)
    }

    /// What the system says of the network over which an attempt was made.
    enum Network: Sendable {
        /// It can be used: what failed there will fail again.
        case present
        /// It is not there yet: a modem may have to wake.
        case absent
        /// The user, or what manages the device, keeps it from this app.
        case denied
    }

    /// RFC 8305, section 5: how long the best address has for itself.
    static let stagger = Duration.milliseconds(250)

    private enum Attempt {
        case running
        case waiting(DialSetback)
        case over(DialSetback)
    }

    private let addresses: Int
    private var attempts: [Attempt] = []
    /// Somebody answered over this network: it is there.
    private var wasAnswered = false
    private var isDecided = false

    init(addresses: Int) {
        self.addresses = addresses
    }

    /// The first steps.
    mutating func begin() -> [Step] { next() }

    /// The time of an attempt for itself is over; of no meaning if others have begun meanwhile.
    mutating func later(than begun: Int) -> [Step] {
        begun == attempts.count ? next() : []
    }

    mutating func isReady(_ attempt: Int) -> [Step] {
        guard !isDecided else { return [] }
        isDecided = true
        return [.keep(attempt)]
    }

    /// The system tries again by itself what had waited.
    mutating func goesOn(_ attempt: Int) {
        guard case .waiting = attempts[attempt] else { return }
        attempts[attempt] = .running
    }

    /// The system will try again when the network has changed.
    mutating func waits(_ attempt: Int, _ setback: DialSetback, over network: Network) -> [Step] {
        let isAnswer = [ECONNREFUSED, ECONNRESET].contains(setback.osCode)
        wasAnswered = wasAnswered || isAnswer
        if !isAnswer, network == .denied {
            let message = "the system keeps this network from the app (\(setback.message)): see its settings"
            return failed(attempt, DialSetback(kind: .notPermitted, message: message))
        }
        guard !isAnswer, network == .absent else { return failed(attempt, setback) }
        attempts[attempt] = .waiting(setback)
        return afterSetback()
    }

    /// Nothing more comes of it.
    mutating func failed(_ attempt: Int, _ setback: DialSetback) -> [Step] {
        attempts[attempt] = .over(setback)
        return afterSetback()
    }

    private mutating func next() -> [Step] {
        guard !isDecided, attempts.count < addresses else { return [] }
        attempts.append(.running)
        let begun = attempts.count
        return begun < addresses ? [.begin(begun - 1), .askLater(begun)] : [.begin(begun - 1)]
    }

    private mutating func afterSetback() -> [Step] {
        guard !isDecided else { return [] }
        if attempts.count < addresses { return next() }
        var told: DialSetback?
        for attempt in attempts {
            switch attempt {
            case .running: return []
            // Where others were answered, this one waits for what is there.
            case .waiting: if !wasAnswered { return [] }
            // That of the best address.
            case .over(let setback): told = told ?? setback
            }
        }
        guard let told else { return [] }
        isDecided = true
        return [.fail(told)]
    }
}
