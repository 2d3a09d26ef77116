import Foundation

/// What was typed in as the server.
public enum Target: Sendable, Equatable {
    /// A Twinpath gateway with an echo service behind it.
    case gateway(host: String, port: Int)
    /// A file on any web server.
    case url(String)

    /// `nil` if it is neither.
    public init?(_ typed: String) {
        let text = typed.trimmingCharacters(in: .whitespacesAndNewlines)
        if let url = URL(string: text), ["http", "https"].contains(url.scheme?.lowercased()) {
            guard url.host()?.isEmpty == false else { return nil }
            self = .url(text)
            return
        }
        guard let match = text.wholeMatch(of: /(\[[0-9A-Fa-f:.%]+\]|[^\s:\/@]+):(\d{1,5})/), let port = Int(match.2),
            (1...65535).contains(port)
        else { return nil }
        self = .gateway(host: String(match.1), port: port)
    }
}
