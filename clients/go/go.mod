module probestream.dev/probestream

go 1.19

require (
	github.com/minio/sha256-simd v1.0.0
	google.golang.org/genproto v0.0.0-20200526211855-cb27e3aa2013
	google.golang.org/grpc v1.33.3
	google.golang.org/protobuf v1.28.1
)
