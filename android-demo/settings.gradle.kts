// Open this folder in Android Studio. The library is built beside the app, from its own sources.
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

rootProject.name = "twinpath-demo"
include(":app")

includeBuild("../bindings/kotlin") {
    dependencySubstitution {
        substitute(module("org.twinpath:twinpath-android")).using(project(":android"))
    }
}
