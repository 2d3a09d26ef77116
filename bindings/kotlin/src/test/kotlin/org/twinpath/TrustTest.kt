package org.twinpath

import java.net.URI
import java.security.KeyStore
import java.security.Provider
import java.security.cert.CertificateException
import java.security.cert.CertificateFactory
import java.util.concurrent.CopyOnWriteArrayList
import javax.net.ssl.TrustManagerFactory
import javax.net.ssl.X509TrustManager
import org.conscrypt.Conscrypt
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test

internal class TrustTest {
    private val url = "${Lab.https}file?size=10"
    private val server = URI(Lab.https).authority

    private fun client(trust: ServerTrust, options: TwinpathHttpOptions.() -> Unit = {}) =
        TwinpathHttpClient(anyServer()) {
            tls.trust = trust
            options()
        }

    private suspend fun refusal(client: TwinpathHttpClient, url: String = this.url): String {
        val failure = client.use { failure { it.get(url) } }
        assertEquals(ErrorKind.NOT_PERMITTED, failure.kind, "$failure")
        return failure.message.orEmpty()
    }

    @Test
    fun `a trust manager of the platform decides`() = inLab {
        val labs = ServerTrust.of(managerOf(Lab.root))
        for (trust in listOf(labs, ServerTrust.of(managerOf(Lab.root, conscrypt)))) {
            client(trust).use { client -> client.get(url).use { assertEquals(10, it.bytes().size) } }
        }
        // The JVM's own roots know nothing of the lab.
        assertTrue("is not trusted: " in refusal(client(ServerTrust.of(managerOf(null)))))
        // What a connector has is there for its clients, unless they have their own.
        val connector = anyServer { serverTrust = labs }
        TwinpathHttpClient(connector).use { client -> client.get(url).use { assertEquals(200, it.status) } }
        refusal(TwinpathHttpClient(connector) { tls.trust = ServerTrust.of(managerOf(null)) })
    }

    @Test
    fun `it is asked for the chain and the host and not on the library's thread`() = inLab {
        val asked = CopyOnWriteArrayList<String>()
        val trust = ServerTrust { chain, host ->
            asked += "$host ${chain.first().subjectAlternativeNames?.size} ${chain.size}"
            // On the library's only thread this would wait for itself.
            kotlinx.coroutines.runBlocking { TwinpathHttpClient(anyServer()).use { it.get("${Lab.http}file?size=1").close() } }
        }
        client(trust).use { client ->
            repeat(2) { client.get(url).use { response -> assertEquals(10, response.bytes().size) } }
        }
        assertEquals(1, asked.size, "$asked")
        assertTrue(asked.single().startsWith("${URI(Lab.https).host} "), "$asked")
    }

    @Test
    fun `a certificate for another host is refused whoever trusts it`() = inLab {
        val everybody = ServerTrust { _, _ -> }
        client(everybody) { connectTo = server }.use { client -> client.get(url).use { assertEquals(200, it.status) } }
        val elsewhere = url.replace(server, "elsewhere.example")
        refusal(client(everybody) { connectTo = server }, elsewhere)
    }

    @Test
    fun `what is thrown is a refusal whatever it is`() = inLab {
        val thrown = listOf(
            CertificateException("not today"),
            IllegalStateException("not today"),
            StackOverflowError("not today"),
        )
        for (failure in thrown) assertTrue("not today" in refusal(client({ _, _ -> throw failure })), "$failure")
        assertTrue("NullPointerException" in refusal(client({ _, _ -> throw NullPointerException() })))
    }

    @Test
    fun `pins and named roots hold beside it`() = inLab {
        val labs = ServerTrust.of(managerOf(Lab.root))
        refusal(client(labs) { tls.pins = listOf(ByteArray(32)) })
        val nobody = ServerTrust { _, _ -> throw CertificateException("nobody") }
        client(nobody) { tls.roots = Lab.root }.use { client -> client.get(url).use { assertEquals(200, it.status) } }
    }
}

/** Conscrypt, whose code is that of Android: with its trust manager, for it names exchanges of keys that the JVM's does not know. */
internal val conscrypt: Provider by lazy { Conscrypt.newProviderBuilder().provideTrustManager(true).build() }

/** The trust manager of the JVM, or of somebody else, which trusts that root; those of the JVM if there is none. */
internal fun managerOf(root: String?, provider: Provider? = null): X509TrustManager {
    val store = root?.let {
        KeyStore.getInstance(KeyStore.getDefaultType()).apply {
            load(null)
            setCertificateEntry("lab", CertificateFactory.getInstance("X.509").generateCertificate(it.byteInputStream()))
        }
    }
    val factory = when (provider) {
        null -> TrustManagerFactory.getInstance("PKIX")
        else -> TrustManagerFactory.getInstance("PKIX", provider)
    }
    factory.init(store)
    return factory.trustManagers.filterIsInstance<X509TrustManager>().single()
}
