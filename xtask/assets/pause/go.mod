// What holds a pod's namespaces open in the real cluster.
module holdfast.dev/assets/pause

go 1.26.0
