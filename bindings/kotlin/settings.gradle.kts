// For Gradle, as apps use it. The tests of this repository build the same sources with Maven (pom.xml).
pluginManagement {
    repositories {
        google()
        mavenCentral()
        gradlePluginPortal()
    }
}

dependencyResolutionManagement {
    repositories {
        google()
        mavenCentral()
    }
}

rootProject.name = "twinpath"
include(":jvm", ":android")
