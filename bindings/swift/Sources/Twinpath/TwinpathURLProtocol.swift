import Foundation

#if canImport(FoundationNetworking)
    import FoundationNetworking
#endif

/// Has `URLSession`, and what is built upon it, make its requests by Twinpath, towards any web server: when Wi-Fi dies,
/// requests that may be repeated are made again over cellular, downloads go on in their middle, and what is not to be done
/// twice is done once.
///
/// ```swift
/// TwinpathURLProtocol.client = try TwinpathHTTPClient(TwinpathConnector())
/// TwinpathURLProtocol.cookies = configuration.httpCookieStorage
/// configuration.protocolClasses = [TwinpathURLProtocol.self]
/// ```
///
/// Of what the system's own loading does, cookies are kept where ``cookies`` says, and compression is taken off, of whatever
/// kinds a request says that it takes. Redirects are `URLSession`'s to follow, and its delegate is asked; what leads from
/// `https` to `http` fails. A request fails after its `timeoutInterval` without an answer, or without more of one; while it is
/// sent, a second is added for each 16 KiB of its body. Not reached are the cache (a request that may only be answered from
/// there fails), credentials (a 401 is handed over as it is; those in a URL are sent), the timeouts of the configuration, and
/// background sessions. The name in `User-Agent` is the client's, unless the request brings one.
///
/// A body that is a stream is read into memory first, so that it can be sent again. An upload task whose body the system
/// does not hand over fails, and nothing of it is sent.
///
/// On Linux a body comes in one piece, at its end, and upload and download tasks fail. Redirects are followed without asking
/// the delegate, no more of them than ``TwinpathHTTPOptions/redirects``. Headers of the configuration are not sent, and a 401
/// comes without its `WWW-Authenticate`, with which Foundation would leave this protocol, or end the app.
public final class TwinpathURLProtocol: URLProtocol {
    private static let shared = Held<TwinpathHTTPClient>()
    private static let sharedCookies = Held<Unchecked<HTTPCookieStorage>>()
    private let loading = Held<Task<Void, Never>>()
    private let teller = Held<Teller>()

    /// Makes the requests. While there is none, the system makes them.
    public static var client: TwinpathHTTPClient? {
        get { shared.value }
        set { shared.value = newValue }
    }

    /// Where the cookies of requests come from, and those of answers go to: as a rule what the configuration has. Without it,
    /// a request has the cookies that it brings, and those of answers are in their headers.
    public static var cookies: HTTPCookieStorage? {
        get { sharedCookies.value?.value }
        set { sharedCookies.value = newValue.map(Unchecked.init) }
    }

    override public class func canInit(with request: URLRequest) -> Bool {
        client != nil && ["http", "https"].contains(request.url?.scheme?.lowercased())
    }

    override public class func canonicalRequest(for request: URLRequest) -> URLRequest { request }

    override public func startLoading() {
        if let teller = teller.value {
            // Foundation for Linux calls it again to go on with what was suspended.
            return teller.serve()
        }
        let teller = Teller(place)
        self.teller.value = teller
        // The protocol is left alone until the teller has it called at its place.
        let me = Unchecked(self)
        let load = URLLoading(
            request: request, client: Self.client, cookies: Self.sharedCookies.value, isServed: isServed, teller: teller
        ) { word in
            guard let client = me.value.client else { return }
            word(me.value, client)
        }
        loading.value = Task { await load.run() }
    }

    override public func stopLoading() {
        #if canImport(FoundationNetworking) && !TWINPATH_STUBS
            // What is only suspended goes on, and tells nothing meanwhile.
            if task?.state == .suspended { return }
        #endif
        teller.value?.end()
        loading.value?.cancel()
    }

    /// Whether nothing would go out without its body, or end the app.
    private var isServed: Bool {
        #if canImport(FoundationNetworking) && !TWINPATH_STUBS
            // Foundation for Linux tells a protocol nothing of an upload's body, and traps at the end of a download that is not
            // its own.
            !(task is URLSessionUploadTask || task is URLSessionDownloadTask)
        #else
            !(task is URLSessionUploadTask) || request.httpBody != nil || request.httpBodyStream != nil
        #endif
    }

    /// Where the client wants to be called: where loading was started.
    private var place: Teller.Place {
        #if canImport(FoundationNetworking) && !TWINPATH_STUBS
            // A queue that nobody can name, and on which a task that goes on has `startLoading` called.
            if let task {
                return { _ in
                    task.suspend()
                    task.resume()
                }
            }
        #endif
        return Teller.runLoop()
    }
}
