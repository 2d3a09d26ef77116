import Foundation
internal import TwinpathCore

/// The body of a request. Every kind can be sent again from its start.
public enum RequestBody: Sendable {
    /// There is none.
    case none
    /// These bytes, at most 1 GiB.
    case data(Data)
    /// What is in that file, which must not change meanwhile.
    case file(URL)
}

/// A request.
public struct TwinpathRequest: Sendable {
    /// Its method, as in `POST`.
    public var method: String
    /// What it is for.
    public var url: String
    /// Its headers.
    public var headers: [(name: String, value: String)] = []
    /// Its body.
    public var body = RequestBody.none
    /// Names the request, so that the server knows it when it comes twice: then a POST or PATCH is sent again over another
    /// path. A new name for each request, as a UUID.
    public var idempotencyKey: String?
    /// Whether it does no harm when it is processed twice; by its method if `nil`.
    public var repeatable: Bool?
    /// How long it may take up to the head of the answer; as the client has it if `nil`.
    public var timeout: Duration?

    public init(_ method: String, _ url: String) {
        (self.method, self.url) = (method, url)
    }
}

extension RequestBody {
    /// What is handed to the library is measured in 32 bits.
    static func checkIsBounded(_ data: Data) throws {
        guard data.count <= 1 << 30 else {
            throw TwinpathError(.invalidInput, "a body of more than 1 GiB has to come from a file")
        }
    }
}

/// The path of what has to be a file here: that of another URL would lead to some file or other as well.
func path(of file: URL) throws -> String {
    guard file.isFileURL else {
        throw TwinpathError(.invalidInput, "\(file.absoluteString) is no file; one is named by URL(fileURLWithPath:)")
    }
    return file.path
}

extension TwinpathRequest {
    func core() throws -> Request {
        let payload: Payload
        switch body {
        case .none: payload = .nothing
        case .data(let data):
            try RequestBody.checkIsBounded(data)
            payload = .inMemory(bytes: data)
        case .file(let file): payload = .inFile(path: try path(of: file))
        }
        return Request(
            method: method,
            url: url,
            headers: headers.map { Header(name: $0.name, value: $0.value) },
            payload: payload,
            idempotencyKey: idempotencyKey,
            repeatable: repeatable,
            timeout: timeout?.interval
        )
    }
}
