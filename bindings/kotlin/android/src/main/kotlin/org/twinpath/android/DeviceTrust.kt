package org.twinpath.android

import android.net.http.X509TrustManagerExtensions
import java.security.KeyStore
import java.security.cert.CertificateException
import java.security.cert.X509Certificate
import javax.net.ssl.TrustManagerFactory
import javax.net.ssl.X509TrustManager
import org.twinpath.ANY_KEY_EXCHANGE
import org.twinpath.ServerTrust

/**
 * Trusts whom the app trusts: the system's roots, those of whoever manages the device, and what the network security
 * configuration says of a host, its pins included. A new one is had when the user changes the roots: the system's own manager
 * sees to that.
 */
internal object DeviceTrust : ServerTrust {
    private val manager by lazy {
        val factory = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm())
        // The default roots.
        factory.init(null as KeyStore?)
        val manager = factory.trustManagers.filterIsInstance<X509TrustManager>().firstOrNull()
            ?: throw CertificateException("the device has no trust manager")
        X509TrustManagerExtensions(manager)
    }

    override fun check(chain: List<X509Certificate>, host: String) {
        manager.checkServerTrusted(chain.toTypedArray(), ANY_KEY_EXCHANGE, host)
    }
}
