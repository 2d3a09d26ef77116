package org.twinpath.okhttp

import java.net.InetAddress
import java.net.Socket
import java.net.UnknownHostException
import java.security.MessageDigest
import javax.net.SocketFactory
import okhttp3.Dns
import org.twinpath.TwinpathConnector

/**
 * Sockets over Twinpath, for an `OkHttpClient` whose servers stand behind a gateway: when Wi-Fi dies, every connection goes
 * on over cellular, TLS and HTTP/2 included, and OkHttp notices nothing. Use it with [TwinpathDns]:
 *
 * ```
 * OkHttpClient.Builder().socketFactory(TwinpathSocketFactory(connector)).dns(TwinpathDns).build()
 * ```
 *
 * The connector's peer must be a gateway: towards any other server a TLS stream cannot move between connections, and
 * [TwinpathInterceptor] is the way.
 */
public class TwinpathSocketFactory(private val connector: TwinpathConnector) : SocketFactory() {
    override fun createSocket(): Socket = TwinpathSocket(connector)

    override fun createSocket(host: String, port: Int): Socket =
        createSocket().apply { connect(java.net.InetSocketAddress.createUnresolved(host, port)) }

    override fun createSocket(host: InetAddress, port: Int): Socket =
        createSocket().apply { connect(java.net.InetSocketAddress(host, port)) }

    override fun createSocket(host: String, port: Int, local: InetAddress?, localPort: Int): Socket =
        createSocket(host, port)

    override fun createSocket(host: InetAddress, port: Int, local: InetAddress?, localPort: Int): Socket =
        createSocket(host, port)
}

/**
 * Leaves names to Twinpath, which looks them up on each path. It gives a placeholder for each, no two alike, for OkHttp
 * takes two hosts with one address for one server.
 */
public object TwinpathDns : Dns {
    // Of 100::/64, where nothing is (RFC 6666).
    private val nowhere = byteArrayOf(1, 0, 0, 0, 0, 0, 0, 0)

    override fun lookup(hostname: String): List<InetAddress> {
        if (hostname.isEmpty()) throw UnknownHostException("there is no host name")
        val hash = MessageDigest.getInstance("SHA-256").digest(hostname.lowercase().toByteArray())
        return listOf(InetAddress.getByAddress(hostname, nowhere + hash.copyOf(8)))
    }
}
