package org.twinpath

import com.sun.jna.LastErrorException
import com.sun.jna.Library
import com.sun.jna.Native
import com.sun.jna.Pointer
import com.sun.jna.ptr.IntByReference
import java.net.Inet4Address
import java.net.InetAddress
import java.net.UnknownHostException
import java.nio.ByteBuffer
import java.nio.ByteOrder
import kotlin.concurrent.thread
import kotlin.concurrent.withLock
import kotlin.time.TimeSource

/** Legs over sockets of libc, each served by a thread: what a platform does whose legs are not the library's own. */
internal object PosixDialer : LegDialer {
    override fun dial(target: LegTarget, pipe: LegPipe): PlatformLeg = PosixLeg(target, pipe)
}

@Suppress("ktlint")
private interface C : Library {
    @Throws(LastErrorException::class) fun socket(family: Int, type: Int, protocol: Int): Int
    @Throws(LastErrorException::class) fun setsockopt(fd: Int, level: Int, name: Int, value: ByteArray, size: Int): Int
    @Throws(LastErrorException::class) fun getsockopt(fd: Int, level: Int, name: Int, value: IntByReference, size: IntByReference): Int
    @Throws(LastErrorException::class) fun connect(fd: Int, address: ByteArray, size: Int): Int
    @Throws(LastErrorException::class) fun send(fd: Int, bytes: ByteBuffer, size: Long, flags: Int): Long
    @Throws(LastErrorException::class) fun recv(fd: Int, bytes: ByteBuffer, size: Long, flags: Int): Long
    @Throws(LastErrorException::class) fun poll(of: Pointer, count: Long, timeout: Int): Int
    @Throws(LastErrorException::class) fun shutdown(fd: Int, how: Int): Int
    @Throws(LastErrorException::class) fun eventfd(count: Int, flags: Int): Int
    @Throws(LastErrorException::class) fun eventfd_write(fd: Int, count: Long): Int
    @Throws(LastErrorException::class) fun eventfd_read(fd: Int, count: ByteArray): Int
    fun close(fd: Int): Int
}

private val libc: C by lazy { Native.load("c", C::class.java) }

// Linux on x86-64 and arm64.
private const val NONBLOCK = 0x800
private const val CLOEXEC = 0x80000
private const val POLLIN = 1
private const val POLLOUT = 4
private const val POLLBAD = 8 or 16
private const val EAGAIN = 11
private const val EINPROGRESS = 115
private const val ECONNREFUSED = 111
private const val ECANCELED = 125
private const val MSG_NOSIGNAL = 0x4000

private class PosixLeg(target: LegTarget, private val pipe: LegPipe) : PlatformLeg {
    private val lock = java.util.concurrent.locks.ReentrantLock()

    /** What the library has asked for and is not yet done. Under [lock]. */
    private val outgoing = ArrayDeque<ByteBuffer>()
    private var wanted = 0
    private var isFinishing = false
    private var isClosed = false
    private var isAborted = false

    /** Wakes the thread; gone with it. Under [lock]. */
    private var bell: Int? = libc.eventfd(0, NONBLOCK or CLOEXEC)

    init {
        thread(isDaemon = true, name = "leg") {
            val fds = com.sun.jna.Memory(16)
            try {
                connect(target, fds)?.let { fd ->
                    try {
                        serve(fd, fds)
                    } catch (lost: LastErrorException) {
                        pipe.failed(ErrorKind.OTHER, lost.message.orEmpty(), lost.errorCode)
                    } finally {
                        if (lock.withLock { isAborted }) libc.setsockopt(fd, 1, 13, native(1, 0), 8)
                        libc.close(fd)
                    }
                }
            } finally {
                lock.withLock {
                    libc.close(bell!!)
                    bell = null
                }
            }
        }
    }

    override fun send(bytes: ByteArray) = change { outgoing += ByteBuffer.allocateDirect(bytes.size).put(bytes).flip() }

    override fun receive(max: Int) = change { wanted = max }

    override fun finish() = change { isFinishing = true }

    override fun close(aborted: Boolean) = change {
        isClosed = true
        isAborted = aborted
    }

    private fun change(what: () -> Unit) {
        lock.withLock {
            what()
            bell?.let { libc.eventfd_write(it, 1) }
        }
    }

    /** The first address that answers. */
    private fun connect(target: LegTarget, fds: Pointer): Int? {
        val addresses = try {
            target.addresses.ifEmpty { InetAddress.getAllByName(target.host).toList() }
        } catch (unknown: UnknownHostException) {
            pipe.failed(ErrorKind.NAME_NOT_FOUND, "$unknown")
            return null
        }
        var last = ECONNREFUSED
        for (address in addresses) {
            val began = TimeSource.Monotonic.markNow()
            try {
                val fd = open(address, target, fds)
                pipe.connected(address, began.elapsedNow())
                return fd
            } catch (failed: LastErrorException) {
                last = failed.errorCode
            }
            if (lock.withLock { isClosed }) return null
        }
        pipe.failed(ErrorKind.OTHER, "no address answered", last)
        return null
    }

    private fun open(address: InetAddress, target: LegTarget, fds: Pointer): Int {
        val fd = libc.socket(if (address is Inet4Address) 2 else 10, 1 or NONBLOCK or CLOEXEC, 0)
        try {
            libc.setsockopt(fd, 6, 1, native(1), 4)
            target.interfaceName?.toByteArray()?.let { libc.setsockopt(fd, 1, 25, it, it.size) }
            try {
                val name = socketAddress(address, target.port)
                libc.connect(fd, name, name.size)
            } catch (pending: LastErrorException) {
                if (pending.errorCode != EINPROGRESS) throw pending
            }
            while (true) {
                val ready = wait(fd, POLLOUT, fds)
                if (lock.withLock { isClosed }) throw LastErrorException(ECANCELED)
                if (ready == 0) continue
                error(fd)?.let { throw it }
                return fd
            }
        } catch (failed: LastErrorException) {
            libc.close(fd)
            throw failed
        }
    }

    private fun error(fd: Int): LastErrorException? {
        val code = IntByReference()
        libc.getsockopt(fd, 1, 4, code, IntByReference(4))
        return if (code.value == 0) null else LastErrorException(code.value)
    }

    /** Until it is closed, or lost. */
    private fun serve(fd: Int, fds: Pointer) {
        var isEnded = false
        var isFinished = false
        var isOver = false
        val buffer = ByteBuffer.allocateDirect(64 * 1024)
        while (true) {
            val (next, max) = lock.withLock {
                if (isAborted || (isClosed && outgoing.isEmpty())) return
                if (isFinishing && outgoing.isEmpty() && !isFinished) {
                    libc.shutdown(fd, 1)
                    isFinished = true
                }
                outgoing.firstOrNull() to wanted
            }
            val events = (if (next == null) 0 else POLLOUT) or (if (max > 0 && !isEnded) POLLIN else 0)
            // Once both ends have finished, poll would tell that for ever.
            val ready = wait(if (isOver && events == 0) -1 else fd, events, fds)
            isOver = ready and POLLBAD != 0 || (isOver && events == 0)
            if (next != null && ready and (POLLOUT or POLLBAD) != 0) {
                val sent = unlessEmpty { libc.send(fd, next, next.remaining().toLong(), MSG_NOSIGNAL) } ?: 0
                next.position(next.position() + sent.toInt())
                if (!next.hasRemaining()) lock.withLock { outgoing.removeFirst() }
                if (sent > 0) pipe.sent(sent.toInt())
            }
            if (max > 0 && !isEnded && ready and (POLLIN or POLLBAD) != 0) {
                buffer.clear()
                val size = unlessEmpty { libc.recv(fd, buffer, minOf(max, buffer.capacity()).toLong(), 0) }
                if (size == 0L) {
                    isEnded = true
                    pipe.receivedEnd()
                } else if (size != null) {
                    lock.withLock { wanted = 0 }
                    pipe.received(buffer.limit(size.toInt()))
                }
            } else if (ready and POLLBAD != 0) {
                error(fd)?.let { throw it }
            }
        }
    }

    private fun unlessEmpty(call: () -> Long): Long? =
        try {
            call()
        } catch (failed: LastErrorException) {
            if (failed.errorCode == EAGAIN) null else throw failed
        }

    /** What is ready, or 0 when the bell was rung. */
    private fun wait(fd: Int, events: Int, fds: Pointer): Int {
        fds.setInt(0, fd)
        fds.setInt(4, events)
        fds.setInt(8, checkNotNull(bell))
        fds.setInt(12, POLLIN)
        libc.poll(fds, 2, -1)
        unlessEmpty { libc.eventfd_read(bell!!, ByteArray(8)).toLong() }
        return fds.getShort(6).toInt()
    }

    private fun native(vararg values: Int): ByteArray =
        ByteBuffer.allocate(4 * values.size).order(ByteOrder.nativeOrder()).apply { values.forEach(::putInt) }.array()

    private fun socketAddress(address: InetAddress, port: Int): ByteArray {
        val bytes = address.address
        val name = ByteBuffer.allocate(if (bytes.size == 4) 16 else 28)
        name.order(ByteOrder.nativeOrder()).putShort(if (bytes.size == 4) 2 else 10)
        name.order(ByteOrder.BIG_ENDIAN).putShort(port.toShort())
        if (bytes.size == 16) name.putInt(0)
        return name.put(bytes).array()
    }
}
