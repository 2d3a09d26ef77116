package org.twinpath.okhttp

import java.io.InputStream
import java.io.InterruptedIOException
import java.io.OutputStream
import java.net.ConnectException
import java.net.InetAddress
import java.net.InetSocketAddress
import java.net.Socket
import java.net.SocketAddress
import java.net.SocketException
import java.net.SocketImpl
import java.net.SocketTimeoutException
import java.util.concurrent.locks.ReentrantLock
import kotlin.concurrent.withLock
import kotlin.coroutines.EmptyCoroutineContext
import kotlin.time.Duration
import kotlin.time.Duration.Companion.milliseconds
import kotlinx.coroutines.CancellationException
import kotlinx.coroutines.Job
import kotlinx.coroutines.SupervisorJob
import kotlinx.coroutines.TimeoutCancellationException
import kotlinx.coroutines.runBlocking
import kotlinx.coroutines.withTimeout
import org.twinpath.PIECE
import org.twinpath.TwinpathConnection
import org.twinpath.TwinpathConnector

/** A connection in the shape of a socket, for what takes nothing else. It has no file descriptor. */
internal class TwinpathSocket(private val connector: TwinpathConnector) : Socket(null as SocketImpl?) {
    @Volatile private var connection: TwinpathConnection? = null
    @Volatile private var remote: InetSocketAddress? = null
    @Volatile private var isOver = false
    @Volatile private var inputIsOver = false
    @Volatile private var outputIsOver = false
    @Volatile private var readLimit = 0
    private val connecting = SupervisorJob()
    private val reading = SupervisorJob()

    override fun connect(endpoint: SocketAddress) = connect(endpoint, 0)

    override fun connect(endpoint: SocketAddress, timeout: Int) {
        val address = endpoint as? InetSocketAddress ?: throw IllegalArgumentException("not an address of TCP")
        require(timeout >= 0) { "a timeout is not negative" }
        if (connection != null) throw SocketException("it is connected already")
        if (isOver) throw SocketException("Socket is closed")
        if (address.port == 0) throw ConnectException("nobody is at port 0")
        val made = try {
            // Whoever closes the socket meanwhile ends this as well.
            waiting(timeout, connecting) { connector.connect(address.hostString, address.port) }
        } catch (closed: CancellationException) {
            throw SocketException("Socket is closed").apply { initCause(closed) }
        }
        remote = address
        connection = made
        if (isOver) {
            made.abort()
            throw SocketException("Socket is closed")
        }
    }

    private fun open(): TwinpathConnection {
        if (isOver) throw SocketException("Socket is closed")
        return connection ?: throw SocketException("it is not connected")
    }

    private val input = object : InputStream() {
        private val one = ReentrantLock()
        private val ahead = ReadAhead { fetch(it, 0, it.size) }

        override fun read(): Int {
            val one = ByteArray(1)
            return if (read(one, 0, 1) < 0) -1 else one[0].toInt() and 0xFF
        }

        override fun read(bytes: ByteArray, offset: Int, length: Int): Int {
            java.util.Objects.checkFromIndexSize(offset, length, bytes.size)
            if (length == 0) return 0
            return one.withLock {
                if (inputIsOver) return -1
                open()
                if (ahead.available == 0 && length >= ReadAhead.SIZE) return fetch(bytes, offset, length)
                ahead.read(length) { from, start, count -> from.copyInto(bytes, offset, start, start + count) }
            }
        }

        /** Does not wait for whoever reads: that one takes what comes. */
        override fun available(): Int {
            val open = open()
            if (!one.tryLock()) return 0
            try {
                if (inputIsOver) return 0
                ahead.look { open.now(it, 0, it.size) }
                return ahead.available
            } finally {
                one.unlock()
            }
        }

        private fun fetch(into: ByteArray, offset: Int, length: Int): Int {
            val open = open()
            return try {
                open.now(into, offset, length) ?: waiting(readLimit, reading) { open.read(into, offset, length) }
            } catch (_: CancellationException) {
                // Nobody but `shutdownInput` cancels it.
                -1
            }
        }

        override fun close() = this@TwinpathSocket.close()
    }

    private val output = object : OutputStream() {
        override fun write(byte: Int) = write(byteArrayOf(byte.toByte()), 0, 1)

        override fun write(bytes: ByteArray, offset: Int, length: Int) {
            val open = open()
            waiting(0) { open.write(bytes, offset, length) }
        }

        override fun close() = this@TwinpathSocket.close()
    }

    override fun getInputStream(): InputStream = open().let { input }

    override fun getOutputStream(): OutputStream = open().let { output }

    override fun close() {
        isOver = true
        connecting.cancel()
        connection?.close()
    }

    override fun shutdownInput() {
        open()
        inputIsOver = true
        reading.cancel()
    }

    override fun shutdownOutput() {
        open().finish()
        outputIsOver = true
    }

    override fun isConnected(): Boolean = connection != null

    override fun isClosed(): Boolean = isOver

    override fun isBound(): Boolean = connection != null

    override fun isInputShutdown(): Boolean = inputIsOver

    override fun isOutputShutdown(): Boolean = outputIsOver

    override fun getInetAddress(): InetAddress? = remote?.address

    override fun getPort(): Int = remote?.port ?: 0

    override fun getRemoteSocketAddress(): SocketAddress? = remote

    // Which end it has is not fixed: that is the point.
    override fun getLocalAddress(): InetAddress = InetAddress.getByAddress(ByteArray(4))

    override fun getLocalPort(): Int = if (connection == null) -1 else 0

    override fun getLocalSocketAddress(): SocketAddress? = connection?.let { InetSocketAddress(localAddress, 0) }

    override fun setSoTimeout(timeout: Int) {
        require(timeout >= 0) { "a timeout is not negative" }
        readLimit = timeout
    }

    override fun getSoTimeout(): Int = readLimit

    // What follows is Twinpath's own business: it sends at once, and asks for signs of life itself. What is left out here the
    // class above would do by a socket of the system's, which nobody closes.
    override fun setTcpNoDelay(on: Boolean) = Unit

    override fun getTcpNoDelay(): Boolean = true

    override fun setKeepAlive(on: Boolean) = Unit

    override fun getKeepAlive(): Boolean = false

    override fun setSoLinger(on: Boolean, linger: Int) = Unit

    override fun getSoLinger(): Int = -1

    override fun setReuseAddress(on: Boolean) = Unit

    override fun getReuseAddress(): Boolean = false

    override fun setSendBufferSize(size: Int) = Unit

    override fun getSendBufferSize(): Int = PIECE

    override fun setReceiveBufferSize(size: Int) = Unit

    override fun getReceiveBufferSize(): Int = PIECE

    override fun setTrafficClass(trafficClass: Int) = Unit

    override fun getTrafficClass(): Int = 0

    override fun setOOBInline(on: Boolean) = Unit

    override fun getOOBInline(): Boolean = false

    override fun sendUrgentData(data: Int) = throw SocketException("Twinpath has no urgent data")

    override fun bind(local: SocketAddress?) = throw SocketException("Twinpath chooses where its connections leave by itself")

    override fun toString(): String = "TwinpathSocket[$remote]"
}

/** Waits on the caller's thread, for so many milliseconds at most; for ever if that is 0. */
private fun <T : Any> waiting(limit: Int, given: Job? = null, work: suspend () -> T): T {
    // Time may be up just as it is done: then it is done.
    var done: T? = null
    return try {
        runBlocking(given ?: EmptyCoroutineContext) {
            withTimeout(if (limit == 0) Duration.INFINITE else limit.milliseconds) { work().also { done = it } }
        }
    } catch (late: TimeoutCancellationException) {
        done ?: throw SocketTimeoutException("timeout").apply { initCause(late) }
    } catch (closed: CancellationException) {
        done ?: throw closed
    } catch (_: InterruptedException) {
        Thread.currentThread().interrupt()
        done ?: throw InterruptedIOException("interrupted")
    }
}
