// Measures the Go client: one line of JSON on standard output.
//
//	bench layer  -target HOST:PORT -expert NAME FILE…      embeds files, each by itself
//	bench bare   -target HOST:PORT -expert NAME -tensor NAME FILE   streams one tensor by the generated stub alone
//	bench models -target HOST:PORT -expert NAME FILE…      embeds many files at once
package main

import (
	"bufio"
	"context"
	"encoding/binary"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"google.golang.org/grpc"

	"probestream.dev/probestream"
	pb "probestream.dev/probestream/gen/probestream/v1"
)

type figures struct {
	Bytes      int64   `json:"bytes"`
	Models     int     `json:"models"`
	Seconds    float64 `json:"seconds"`
	CPUSeconds float64 `json:"cpu_seconds"`
	IdleBytes  int64   `json:"idle_bytes"`
	PeakBytes  int64   `json:"peak_bytes"`
}

func main() {
	mode := "help"
	if len(os.Args) > 1 {
		mode = os.Args[1]
	}
	flags := flag.NewFlagSet(mode, flag.ExitOnError)
	target := flags.String("target", "127.0.0.1:50051", "server")
	expert := flags.String("expert", "", "expert")
	tensor := flags.String("tensor", "", "name of the tensor that bare streams")
	list := flags.String("list", "", "a file that names models, one a line")
	check(flags.Parse(os.Args[min(2, len(os.Args)):]))
	files := flags.Args()
	if *list != "" {
		text, err := os.ReadFile(*list)
		check(err)
		files = append(files, strings.Fields(string(text))...)
	}
	client, err := probestream.Connect(*target, probestream.Options{})
	check(err)
	defer client.Close()
	_, err = client.ServerInfo(context.Background())
	check(err)
	idle := residentBytes("VmRSS")
	resetPeak()
	var f figures
	cpu, begin := cpuSeconds(), time.Now()
	switch mode {
	case "layer":
		f = layers(client, *expert, files)
	case "bare":
		f = bare(*target, *expert, *tensor, files[0])
	case "models":
		f = models(client, *expert, files)
	default:
		fmt.Fprintln(os.Stderr, "layer, bare or models")
		os.Exit(2)
	}
	f.Seconds, f.CPUSeconds = time.Since(begin).Seconds(), cpuSeconds()-cpu
	f.IdleBytes, f.PeakBytes = idle, residentBytes("VmHWM")
	check(json.NewEncoder(os.Stdout).Encode(f))
}

func layers(client *probestream.Client, expert string, files []string) figures {
	var f figures
	for _, file := range files {
		e, err := client.Embed(context.Background(), probestream.Path(file), &probestream.EmbedOptions{Experts: []string{expert}})
		check(err)
		f.Bytes, f.Models = f.Bytes+e.BytesReceived, f.Models+1
	}
	return f
}

func models(client *probestream.Client, expert string, files []string) figures {
	var f figures
	var all []probestream.Model
	for _, file := range files {
		all = append(all, probestream.Path(file))
	}
	results, err := client.EmbedMany(context.Background(), all, &probestream.EmbedOptions{Experts: []string{expert}})
	check(err)
	for _, result := range results {
		if result.Err != nil {
			check(result.Err)
		}
		f.Bytes, f.Models = f.Bytes+result.Embedding.BytesReceived, f.Models+1
	}
	return f
}

// bare reads a file's tensor and sends it with the generated classes, without digests and without resuming.
func bare(target, expert, tensor, path string) figures {
	file, err := os.Open(path)
	check(err)
	defer file.Close()
	shape, begin := find(file, tensor)
	conn, err := grpc.Dial(target, grpc.WithInsecure())
	check(err)
	defer conn.Close()
	stub := pb.NewEmbeddingServiceClient(conn)
	ctx := context.Background()
	manifest := &pb.Manifest{ModelId: path, Experts: []string{expert}, Tensors: []*pb.TensorInfo{{Name: tensor, Dtype: pb.Dtype_DTYPE_F32, Shape: shape}}}
	plans, err := stub.PlanEmbedding(ctx, &pb.PlanEmbeddingRequest{Manifests: []*pb.Manifest{manifest}})
	check(err)
	plan := plans.GetPlans()[0].GetPlanned()
	stream, err := stub.EmbedModel(ctx)
	check(err)
	header := &pb.EmbedModelHeader{ModelId: path, UploadId: plan.GetUploadId(), Tensors: plan.GetTensors(), SpaceIds: []string{plan.GetTargets()[0].GetSpaceId()}}
	check(stream.Send(&pb.EmbedModelRequest{Part: &pb.EmbedModelRequest_Header{Header: header}}))
	wanted := plan.GetTensors()[0]
	total := int64(wanted.GetEndByte() - wanted.GetBeginByte())
	buffer := make([]byte, plan.GetChunkBytes())
	for at := int64(0); at < total; {
		n := int64(len(buffer))
		if total-at < n {
			n = total - at
		}
		_, err := file.ReadAt(buffer[:n], begin+int64(wanted.GetBeginByte())+at)
		check(err)
		chunk := &pb.EmbedModelChunk{Offset: uint64(at), Data: buffer[:n]}
		check(stream.Send(&pb.EmbedModelRequest{Part: &pb.EmbedModelRequest_Chunk{Chunk: chunk}}))
		at += n
	}
	check(stream.Send(&pb.EmbedModelRequest{Part: &pb.EmbedModelRequest_Footer{Footer: &pb.EmbedModelFooter{TotalBytes: uint64(total)}}}))
	answer, err := stream.CloseAndRecv()
	check(err)
	if refused := answer.GetResults()[0].GetError(); refused != nil {
		check(fmt.Errorf("%s", refused.GetMessage()))
	}
	return figures{Bytes: total, Models: 1}
}

func find(file *os.File, tensor string) (shape []uint64, begin int64) {
	var length uint64
	check(binary.Read(file, binary.LittleEndian, &length))
	var header map[string]struct {
		Shape   []uint64 `json:"shape"`
		Offsets []int64  `json:"data_offsets"`
	}
	check(json.NewDecoder(io.LimitReader(file, int64(length))).Decode(&header))
	return header[tensor].Shape, 8 + int64(length) + header[tensor].Offsets[0]
}

func cpuSeconds() float64 {
	var usage syscall.Rusage
	check(syscall.Getrusage(syscall.RUSAGE_SELF, &usage))
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano()).Seconds()
}

// residentBytes reads a line of /proc/self/status.
func residentBytes(name string) int64 {
	file, err := os.Open("/proc/self/status")
	check(err)
	defer file.Close()
	for lines := bufio.NewScanner(file); lines.Scan(); {
		if fields := strings.Fields(lines.Text()); fields[0] == name+":" {
			kib, err := strconv.ParseInt(fields[1], 10, 64)
			check(err)
			return kib << 10
		}
	}
	return 0
}

func resetPeak() { check(os.WriteFile("/proc/self/clear_refs", []byte("5"), 0)) }

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func min(a, b int) int {
	if a < b {
		return a
	}
	return b
}
