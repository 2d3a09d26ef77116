package org.twinpath

import java.security.cert.CertificateException
import java.security.cert.CertificateFactory
import java.security.cert.X509Certificate
import javax.net.ssl.X509TrustManager
import org.twinpath.ffi.Failure
import org.twinpath.ffi.Kind
import org.twinpath.ffi.ServerTrust as FfiServerTrust

/** Decides whom TLS trusts, in place of the library: where a platform tells nobody but its own code, as Android does. */
public fun interface ServerTrust {
    /**
     * Returns if [chain] is trusted for [host]. The server's own certificate comes first, and what it has sent besides follows
     * in its order. That the certificate is for [host], and that the server has its key, is found out by the library.
     *
     * It is called once for each handshake that resumes none, on a thread where it may wait.
     *
     * @throws CertificateException if it is not trusted; whatever else is thrown means the same.
     */
    @Throws(CertificateException::class)
    public fun check(chain: List<X509Certificate>, host: String)

    public companion object {
        /**
         * Trusts whom [manager] trusts. On Android `TwinpathAndroid.connector` has done better already: it asks for each host
         * what the app's network security configuration says.
         */
        public fun of(manager: X509TrustManager): ServerTrust =
            ServerTrust { chain, _ -> manager.checkServerTrusted(chain.toTypedArray(), ANY_KEY_EXCHANGE) }
    }
}

/** As managers know an exchange of keys that is none of those of old: the key of the certificate has to be one that signs. */
internal const val ANY_KEY_EXCHANGE: String = "UNKNOWN"

/** A trust as the library calls it. */
internal class CalledTrust(private val trust: ServerTrust) : FfiServerTrust {
    override fun isTrusted(chain: List<ByteArray>, host: String): Boolean {
        try {
            val factory = CertificateFactory.getInstance("X.509")
            val certificates = chain.map { factory.generateCertificate(it.inputStream()) as X509Certificate }
            trust.check(certificates, host)
            return true
        } catch (refused: Throwable) {
            val why = refused.message ?: refused.javaClass.simpleName
            throw Failure.Failed(Kind.NOT_PERMITTED, why, null, null)
        }
    }
}
