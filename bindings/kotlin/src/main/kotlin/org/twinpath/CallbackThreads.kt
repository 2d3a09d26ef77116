package org.twinpath

import com.sun.jna.Callback
import com.sun.jna.CallbackThreadInitializer
import com.sun.jna.Native
import org.twinpath.ffi.uniffiCallbackInterfaceCellularUse
import org.twinpath.ffi.uniffiCallbackInterfaceLegDialer
import org.twinpath.ffi.uniffiCallbackInterfaceLogSink
import org.twinpath.ffi.uniffiCallbackInterfacePlatformLeg
import org.twinpath.ffi.uniffiRustFutureContinuationCallbackImpl

/**
 * Has threads of the library stay known to the JVM, as daemons, once they have called into it: to make them known anew for each
 * call, as JNA does by default, takes longer than most calls. Threads that ask for trust come and go, and are left alone.
 */
internal object CallbackThreads {
    private val staying = CallbackThreadInitializer(true, false, "twinpath")

    init {
        val called: List<Callback> = listOf(
            uniffiRustFutureContinuationCallbackImpl,
            uniffiCallbackInterfaceCellularUse.begin,
            uniffiCallbackInterfaceCellularUse.end,
            uniffiCallbackInterfaceLegDialer.dial,
            uniffiCallbackInterfaceLogSink.log,
            uniffiCallbackInterfacePlatformLeg.send,
            uniffiCallbackInterfacePlatformLeg.receive,
            uniffiCallbackInterfacePlatformLeg.finish,
            uniffiCallbackInterfacePlatformLeg.close,
        )
        called.forEach(::stay)
    }

    /** Sees to it for one that has not been called yet. */
    fun stay(called: Callback) = Native.setCallbackThreadInitializer(called, staying)
}
