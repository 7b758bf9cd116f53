// Command kubelet-exec runs a command in a container through a kubelet, as kubectl does through an API server:
// kubelet-exec [-protocol websocket] [-stdin] [-tty] URL, which ends with the command's exit code.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"net/url"
	"os"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/remotecommand"
	"k8s.io/client-go/util/exec"
)

func executor(protocol string, address *url.URL) (remotecommand.Executor, error) {
	// The certificate of a kubelet without an API server is its own.
	config := &rest.Config{Host: address.Host, TLSClientConfig: rest.TLSClientConfig{Insecure: true}}
	if protocol == "websocket" {
		return remotecommand.NewWebSocketExecutor(config, http.MethodGet, address.String())
	}
	return remotecommand.NewSPDYExecutor(config, http.MethodPost, address)
}

func run() error {
	protocol := flag.String("protocol", "spdy", "spdy or websocket")
	stdin := flag.Bool("stdin", false, "give the command this program's input")
	tty := flag.Bool("tty", false, "give it a terminal")
	flag.Parse()
	address, err := url.Parse(flag.Arg(0))
	if err != nil {
		return err
	}
	client, err := executor(*protocol, address)
	if err != nil {
		return err
	}
	options := remotecommand.StreamOptions{Stdout: os.Stdout, Stderr: os.Stderr, Tty: *tty}
	if *stdin {
		options.Stdin = os.Stdin
	}
	if *tty {
		options.Stderr = nil
	}
	return client.StreamWithContext(context.Background(), options)
}

func main() {
	err := run()
	var code exec.CodeExitError
	if errors.As(err, &code) {
		os.Exit(code.Code)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(125)
	}
}
