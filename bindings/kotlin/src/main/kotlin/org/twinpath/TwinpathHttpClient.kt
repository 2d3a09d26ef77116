package org.twinpath

import java.io.Closeable
import kotlin.time.Duration
import org.twinpath.ffi.Connector
import org.twinpath.ffi.HttpClient
import org.twinpath.ffi.HttpOptions
import org.twinpath.ffi.TlsOptions as FfiTlsOptions
import org.twinpath.ffi.UniffiWithHandle

/** How TLS is spoken. What is left as it is, is as the platform has it. */
public class TlsOptions {
    /** Roots to trust, in PEM. */
    public var roots: String? = null

    /** Whether nobody is trusted but the [roots]. */
    public var onlyTheseRoots: Boolean = false

    /**
     * Decides whom to trust, besides the [roots]; if `null`, whoever the connector has ([TwinpathOptions.serverTrust]), and
     * if that has nobody, the platform. Not asked where only the [roots] are trusted.
     */
    public var trust: ServerTrust? = null

    /** SHA-256 of the SubjectPublicKeyInfo of servers' certificates, of which one must fit; any if empty. */
    public var pins: List<ByteArray> = emptyList()

    /** The client's certificate, with those above it, in PEM. */
    public var certificate: String? = null

    /** The key of it, in PEM. */
    public var key: String? = null

    /** Whether TLS 1.2 is not spoken. */
    public var onlyTls13: Boolean = false

    internal fun asFfi() = FfiTlsOptions(roots, onlyTheseRoots, pins, certificate, key, onlyTls13, emptyList())
}

/** The options of a [TwinpathHttpClient]. */
public class TwinpathHttpOptions {
    /** How TLS is spoken. */
    public val tls: TlsOptions = TlsOptions()

    /** How long a request may take up to the head of its answer; without limit if `null`. */
    public var timeout: Duration? = null

    /**
     * Redirects that are followed at most; one that leads to where HTTP does not is an answer. With 0, answers are handed over
     * as they are: those that ask to come back later as well, for which the client waits otherwise.
     */
    public var redirects: Int = 10

    /** Whether to ask for compressed answers, which are decompressed. */
    public var gzip: Boolean = true

    /** What to call itself. */
    public var userAgent: String? = null

    /** Connects there, written as `host:port`, whatever host a URL names: to a gateway before a web server. */
    public var connectTo: String? = null

    /** Goes through this proxy, written as `http://host:port`; through none if empty, through the device's if `null`. */
    public var proxy: String? = null

    /** The time after which a slow request goes over the backup as well, with [ServiceType.INTERACTIVE]. */
    public var hedgeAfter: Duration? = null

    internal fun asFfi(): HttpOptions {
        require(redirects >= 0) { "redirects are not negative" }
        return HttpOptions(
            tls.asFfi(),
            timeout?.asFfi("timeout"),
            redirects.toUInt(),
            gzip,
            userAgent,
            connectTo,
            proxy,
            hedgeAfter?.asFfi("hedgeAfter"),
        )
    }
}

/**
 * Requests with cellular backup, to any web server: what may be repeated is sent again over the other path, and downloads
 * go on in their middle. Closing it leaves its answers as they are.
 */
public class TwinpathHttpClient(
    connector: TwinpathConnector,
    options: TwinpathHttpOptions.() -> Unit = {},
) : Closeable {
    private val ffi = translated {
        val chosen = TwinpathHttpOptions().apply(options)
        // What is closed must not be handed to the library, which would look for it where it was.
        connector.ffi.callWithHandle { Connector(UniffiWithHandle, it) }.use { open ->
            when (val trust = chosen.tls.trust ?: connector.serverTrust) {
                null -> HttpClient(open, chosen.asFfi())
                else -> HttpClient.withTrust(open, chosen.asFfi(), CalledTrust(trust))
            }
        }
    }

    /**
     * Sends a request and waits for the head of the answer, whatever its status. When it is cancelled, the server may have
     * processed it.
     *
     * @throws TwinpathException what happened, and what to do.
     */
    public suspend fun send(request: TwinpathRequest): TwinpathResponse =
        wanted { TwinpathResponse(translated { ffi.send(request.asFfi(), null) }) }

    /** A GET request. */
    public suspend fun get(url: String): TwinpathResponse = send(TwinpathRequest("GET", url))

    override fun close() {
        ffi.close()
    }
}
