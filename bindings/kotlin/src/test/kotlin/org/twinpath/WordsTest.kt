package org.twinpath

import kotlin.enums.EnumEntries
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Test

/** Needs no lab. */
internal class WordsTest {
    @Test
    fun `every word of the library has its own here`() {
        fun names(entries: EnumEntries<*>) = entries.map { it.name }
        assertEquals(names(org.twinpath.ffi.InterfaceKind.entries), names(InterfaceKind.entries))
        assertEquals(names(org.twinpath.ffi.Cost.entries), names(Cost.entries))
        assertEquals(names(org.twinpath.ffi.Service.entries), names(ServiceType.entries))
        assertEquals(names(org.twinpath.ffi.Standby.entries), names(Standby.entries))
        assertEquals(names(org.twinpath.ffi.Peer.entries), names(Peer.entries))
        assertEquals(names(org.twinpath.ffi.LogLevel.entries), names(LogLevel.entries))
        assertEquals(names(org.twinpath.ffi.Mode.entries), Mode.entries.map { it.asFfi().name })
        assertEquals(Mode.entries.toList(), org.twinpath.ffi.Mode.entries.map { it.asMode() })
        assertEquals(names(Role.entries), org.twinpath.ffi.Role.entries.map { it.asRole().name })
        assertEquals(
            names(ErrorKind.entries).toSet(),
            org.twinpath.ffi.Kind.entries.map { it.asErrorKind().name }.toSet(),
        )
    }
}
